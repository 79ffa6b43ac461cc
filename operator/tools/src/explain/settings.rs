//! How the data plane is started, as far as answers depend on it.

use anyhow::{Result, bail};
use clap::ValueEnum;
use genkan_routing::access::Mode;
use genkan_routing::credential::Places;
use genkan_routing::door::AppsDomain;
use genkan_routing::public::{self, Front, Origin};
use ipnet::IpNet;

/// The flags of the data plane that answers depend on, under their names there.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Who may call the data plane: tokens judged by Kubernetes, or everybody without a name
    #[arg(
        long,
        env = "GENKAN_AUTHENTICATION",
        value_enum,
        default_value = "kubernetes",
        value_name = "MODE"
    )]
    pub authentication: Authentication,
    /// Cookie whose value counts as bearer token [default: none]
    #[arg(long, env = "GENKAN_TOKEN_COOKIE", value_name = "NAME")]
    pub token_cookie: Option<String>,
    /// Which questions the data plane asks about a ReverseProxy
    #[arg(
        long,
        env = "GENKAN_ACCESS_REVIEW",
        value_enum,
        default_value = "pattern",
        value_name = "MODE"
    )]
    pub access_review: AccessReview,
    /// Whether credentials that were verified reach backends that did not ask for them
    #[arg(
        long,
        env = "GENKAN_FORWARD_AUTHORIZATION",
        value_enum,
        default_value = "never",
        value_name = "WHEN"
    )]
    pub forward_authorization: ForwardAuthorization,
    /// Backend addresses that are allowed though they are loopback, link-local or the like; repeatable [default: none]
    #[arg(
        long,
        env = "GENKAN_ALLOW_UPSTREAM_CIDR",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub allow_upstream_cidr: Vec<IpNet>,
    /// URL under which people reach the data plane; repeatable [default: none]
    #[arg(long, env = "GENKAN_PUBLIC_URL", value_name = "URL", value_delimiter = ',')]
    pub public_url: Vec<Origin>,
    /// What backends of web UIs are told of the front
    #[arg(
        long,
        env = "GENKAN_FRONT_HEADERS",
        value_enum,
        default_value = "public",
        value_name = "WORDS"
    )]
    pub front_headers: FrontHeaders,
    /// Domain below which each web UI has a name [default: none]
    #[arg(long, env = "GENKAN_APPS_DOMAIN", value_name = "DOMAIN")]
    pub apps_domain: Option<AppsDomain>,
    /// Web UIs are served by their names alone
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

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Authentication {
    /// Whose token the API server knows, and callers without a name
    Kubernetes,
    /// Everybody, and nobody has a name
    Disabled,
}

/// Which questions are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessReview {
    /// The path of its matcher, and after a no the path of the request
    Pattern,
    /// The path of the request alone
    Exact,
}

/// Which backends get verified credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ForwardAuthorization {
    /// Those whose object says forwardAuthorization
    Never,
    /// All
    Always,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            authentication: Authentication::Kubernetes,
            token_cookie: None,
            access_review: AccessReview::Pattern,
            forward_authorization: ForwardAuthorization::Never,
            allow_upstream_cidr: Vec::new(),
            public_url: Vec::new(),
            front_headers: FrontHeaders::Public,
            apps_domain: None,
            apps_only: false,
        }
    }
}

impl Settings {
    /// # Errors
    /// When the data plane would refuse them.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(name) = self.places().bad_cookie() {
            bail!(
                "--token-cookie {name:?} is no name that a cookie can have; write letters, digits, - and _"
            );
        }
        Ok(self.front().check()?)
    }

    /// How people reach the data plane. Nothing that stands in front is known here.
    pub(super) fn front(&self) -> Front {
        Front {
            headers: match self.front_headers {
                FrontHeaders::Public => public::FrontHeaders::Public,
                FrontHeaders::Kubesphere => public::FrontHeaders::Kubesphere,
            },
            origins: self.public_url.clone(),
            trusted: Vec::new(),
            apps: self.apps_domain.clone(),
            apps_only: self.apps_only,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        match self.access_review {
            AccessReview::Pattern => Mode::Pattern,
            AccessReview::Exact => Mode::Exact,
        }
    }

    pub(super) fn places(&self) -> Places {
        Places {
            cookie: self.token_cookie.clone(),
        }
    }

    /// Whether anybody has a name.
    pub(super) fn identifies(&self) -> bool {
        self.authentication == Authentication::Kubernetes
    }

    pub(super) fn forwards_always(&self) -> bool {
        self.forward_authorization == ForwardAuthorization::Always
    }
}
