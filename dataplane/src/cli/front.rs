use clap::{Args, ValueEnum};
use genkan_routing::door::AppsDomain;
use genkan_routing::public::{self, Origin};
use ipnet::IpNet;

/// How people reach the data plane, and what backends of web UIs are told of it.
#[derive(Args, Clone, Debug, Default)]
pub struct FrontArgs {
    /// URL under which people reach this data plane; repeatable [default: none]
    #[arg(long, env = "GENKAN_PUBLIC_URL", value_name = "URL", value_delimiter = ',')]
    pub public_url: Vec<Origin>,
    /// HTTP proxies in front that overwrite X-Forwarded-*, believed of them alone; repeatable [default: none]
    #[arg(
        long,
        env = "GENKAN_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<IpNet>,
    /// What backends of web UIs are told of the front
    #[arg(
        long,
        env = "GENKAN_FRONT_HEADERS",
        value_enum,
        default_value = "public",
        value_name = "WORDS"
    )]
    pub front_headers: FrontHeaders,
    /// Domain below which each web UI has a name, NAME.DOMAIN for /proxy/NAME/* [default: none]
    #[arg(long, env = "GENKAN_APPS_DOMAIN", value_name = "DOMAIN")]
    pub apps_domain: Option<AppsDomain>,
    /// Web UIs are served by their names alone: /proxy/NAME leads there
    #[arg(long, env = "GENKAN_APPS_ONLY", requires = "apps_domain")]
    pub apps_only: bool,
}

/// What backends of web UIs are told of the front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FrontHeaders {
    /// X-Forwarded-Host, -Proto, -Port, -Prefix and Forwarded of the public side, and Origin and Referer in their own words
    #[default]
    Public,
    /// X-Forwarded-For alone, and Origin as it came
    Kubesphere,
}

// === impl FrontArgs ===

impl FrontArgs {
    pub fn front(&self) -> public::Front {
        public::Front {
            headers: match self.front_headers {
                FrontHeaders::Public => public::FrontHeaders::Public,
                FrontHeaders::Kubesphere => public::FrontHeaders::Kubesphere,
            },
            origins: self.public_url.clone(),
            trusted: self.trusted_proxies.clone(),
            apps: self.apps_domain.clone(),
            apps_only: self.apps_only,
        }
    }
}
