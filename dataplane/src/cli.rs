mod authentication;
mod front;
mod listener;
mod stream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use genkan_routing::door::SharedDomain;
use genkan_routing::quantity;
use ipnet::IpNet;

pub use authentication::{AccessReview, Authentication, AuthenticationArgs, ForwardAuthorization};
pub use front::{FrontArgs, FrontHeaders};
pub use listener::Listener;
pub use stream::{StreamArgs, StreamRefused};

/// The data plane of genkan: takes compiled routes from the operator and forwards requests.
#[derive(Parser, Clone, Debug)]
#[command(name = "genkan-dataplane", version)]
pub struct Cli {
    #[command(flatten)]
    pub stream: StreamArgs,
    /// Address to serve requests on
    #[arg(
        long,
        env = "GENKAN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub listener: Listener,
    #[command(flatten)]
    pub front: FrontArgs,
    /// Address of /config, /extensions, /healthz, /readyz and /metrics
    #[arg(
        long,
        env = "GENKAN_ADMIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081"
    )]
    pub admin_listen: SocketAddr,
    /// Folder for what must outlive a restart; must be writable
    #[arg(long, env = "GENKAN_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Age at which a configuration that was kept there is not served any more; 0 keeps none
    #[arg(long, env = "GENKAN_STATE_MAX_AGE", value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub state_max_age: Duration,
    #[command(flatten)]
    pub authentication: AuthenticationArgs,
    /// Backend addresses to allow though they are loopback, link-local or the like; repeatable [default: none]
    #[arg(
        long,
        env = "GENKAN_ALLOW_UPSTREAM_CIDR",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub allow_upstream_cidr: Vec<IpNet>,
    /// Time for which a backend that should speak may be silent; 0: for ever
    #[arg(long, env = "GENKAN_UPSTREAM_READ_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub upstream_read_timeout: Duration,
    /// Time after which a tunnel in which nothing moves is closed; 0: never
    #[arg(long, env = "GENKAN_TUNNEL_IDLE_TIMEOUT", value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub tunnel_idle_timeout: Duration,
    /// Permit --authentication disabled on an address that others can reach
    #[arg(long, env = "GENKAN_ALLOW_UNAUTHENTICATED")]
    pub allow_unauthenticated: bool,
    /// Time between SIGTERM and the end of accepting connections
    #[arg(long, env = "GENKAN_DRAIN_DELAY", value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub drain_delay: Duration,
    /// Time for requests in flight after that
    #[arg(long, env = "GENKAN_DRAIN_TIMEOUT", value_name = "TIME", default_value = "25s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Name in the operator's view [default: $POD_NAME, else host name and port]
    #[arg(long, env = "GENKAN_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// What to log, in the notation of the tracing crates
    #[arg(long, env = "GENKAN_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Threads that serve requests [default: one for each processor]
    #[arg(long, env = "GENKAN_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
}

/// Why a command line that parses is refused all the same.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    #[error("--token-cookie {0:?} is no name that a cookie can have; write letters, digits, - and _")]
    Cookie(String),
    #[error(
        "--authentication disabled lets everybody call and is refused on {0}, which is not a loopback address; \
         listen on 127.0.0.1, or say --allow-unauthenticated too"
    )]
    Exposed(SocketAddr),
    #[error(transparent)]
    Domain(#[from] SharedDomain),
    #[error(transparent)]
    Stream(#[from] StreamRefused),
    #[error("{0} and {1} are both {2}; give them different ports")]
    SameAddress(&'static str, &'static str, SocketAddr),
}

// === impl Cli ===

impl Cli {
    /// What keeps people from logging in at the names of web UIs, where there are such names.
    pub fn lacks_for_logins(&self) -> Option<&'static str> {
        let front = self.front.front();
        front.apps.as_ref()?;
        let is_secure = front
            .origins
            .first()
            .is_some_and(|origin| origin.scheme() == "https");
        match (is_secure, &self.authentication.token_cookie) {
            (false, _) => Some("a --public-url that begins with https, and is the first"),
            (true, None) => Some("--token-cookie, by which the front knows them"),
            (true, Some(_)) => None,
        }
    }

    /// What the parser cannot know: combinations that would be unsafe.
    ///
    /// # Errors
    /// One sentence that says what to change.
    pub fn check(&self) -> Result<(), Refused> {
        if let Some(name) = self.authentication.places().bad_cookie() {
            return Err(Refused::Cookie(name.to_owned()));
        }
        self.front.front().check()?;
        let listeners = [Some(self.listen), self.listener.tls_listen];
        let exposed = listeners
            .into_iter()
            .flatten()
            .find(|address| !address.ip().is_loopback());
        let is_open = self.authentication.is_disabled() && !self.allow_unauthenticated;
        if let (Some(exposed), true) = (exposed, is_open) {
            return Err(Refused::Exposed(exposed));
        }
        let mut taken: Vec<(&'static str, SocketAddr)> = Vec::new();
        let named = [
            ("--listen", Some(self.listen)),
            ("--tls-listen", self.listener.tls_listen),
            ("--admin-listen", Some(self.admin_listen)),
        ];
        for (flag, address) in named {
            let Some(address) = address.filter(|address| address.port() != 0) else {
                continue;
            };
            if let Some(&(other, _)) = taken.iter().find(|(_, known)| *known == address) {
                return Err(Refused::SameAddress(other, flag, address));
            }
            taken.push((flag, address));
        }
        Ok(self.stream.check()?)
    }

    /// How this process calls itself towards the operator.
    pub fn own_name(&self, listen: SocketAddr) -> String {
        let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
        self.name.clone().or(pod).unwrap_or_else(|| {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            match host.trim() {
                "" => format!("dataplane:{}", listen.port()),
                host => format!("{host}:{}", listen.port()),
            }
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = || text.parse().ok().map(Duration::from_secs);
    quantity::duration(text)
        .or_else(seconds)
        .ok_or_else(|| format!("{text} is no duration such as 5s, 500ms, 2m or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_cli(more: &[&str]) -> Cli {
        let base = [
            "genkan-dataplane",
            "--operator",
            "http://127.0.0.1:1",
            "--state-dir",
            "/tmp",
        ];
        Cli::try_parse_from(base.iter().chain(more)).unwrap()
    }

    #[test]
    fn callers_are_judged_unless_that_is_switched_off_by_hand() {
        let cli = mk_cli(&["--listen", "0.0.0.0:80"]);
        assert!(!cli.authentication.is_disabled());
        assert_eq!(cli.check(), Ok(()));
        assert_eq!(cli.authentication.stale_if_error, Duration::from_secs(300));
        assert_eq!(cli.authentication.access_review, AccessReview::Pattern);
        assert_eq!(
            cli.authentication.forward_authorization,
            ForwardAuthorization::Never
        );
    }

    #[test]
    fn names_of_web_uis_say_what_they_need() {
        let apps = ["--apps-domain", "apps.example", "--public-url"];
        let of = |more: &[&str]| mk_cli(&[&apps[..], more].concat());
        let cookie = ["--token-cookie", "token"];
        for (url, more, lacks) in [
            ("https://gw.example", &cookie[..], None),
            ("https://gw.example", &[], Some("--token-cookie")),
            ("http://gw.example", &cookie, Some("begins with https")),
        ] {
            let cli = of(&[&[url][..], more].concat());
            assert_eq!(cli.check(), Ok(()));
            let said = cli.lacks_for_logins();
            assert_eq!(said.is_some(), lacks.is_some(), "{url}");
            assert!(
                said.unwrap_or_default().contains(lacks.unwrap_or_default()),
                "{said:?}"
            );
        }
        assert_eq!(mk_cli(&cookie).lacks_for_logins(), None);
        let shared = of(&["https://gw.apps.example"]).check().unwrap_err().to_string();
        assert!(shared.contains("give web UIs a domain of their own"), "{shared}");
        let alone = Cli::try_parse_from([
            "genkan-dataplane",
            "--operator",
            "http://127.0.0.1:1",
            "--apps-only",
        ]);
        assert!(alone.is_err());
    }

    #[test]
    fn audiences_are_given_one_by_one_or_in_a_list() {
        let cli = mk_cli(&["--audience", "a,b", "--audience", "c"]);
        assert_eq!(cli.authentication.audience, ["a", "b", "c"]);
    }

    #[test]
    fn cookies_have_names_that_browsers_send() {
        for bad in ["", "a b", "a=b", "a;b", "ä"] {
            assert_eq!(
                mk_cli(&["--token-cookie", bad]).check(),
                Err(Refused::Cookie(bad.into()))
            );
        }
        assert_eq!(mk_cli(&["--token-cookie", "genkan-token"]).check(), Ok(()));
    }

    #[test]
    fn certificate_and_key_come_together() {
        for flag in ["--proxy-client-cert-file", "--proxy-client-key-file"] {
            let base = [
                "genkan-dataplane",
                "--operator",
                "http://127.0.0.1:1",
                "--state-dir",
                "/tmp",
                flag,
                "x",
            ];
            assert!(Cli::try_parse_from(base).is_err(), "{flag}");
        }
    }

    #[test]
    fn everybody_may_call_only_from_this_machine() {
        let exposed = ["--authentication", "disabled", "--listen", "0.0.0.0:80"];
        assert!(matches!(mk_cli(&exposed).check(), Err(Refused::Exposed(_))));
        let meant = [&exposed[..], &["--allow-unauthenticated"]].concat();
        assert_eq!(mk_cli(&meant).check(), Ok(()));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(mk_cli(&[]).tunnel_idle_timeout, Duration::from_secs(3_600));
        assert!(duration("5 s").is_err() && duration("s").is_err() && duration("1y").is_err());
    }

    #[test]
    fn every_flag_has_help_in_one_line_and_an_environment_variable() {
        let command = <Cli as clap::CommandFactory>::command();
        for arg in command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            let help = arg
                .get_help()
                .unwrap_or_else(|| panic!("{} has no help", arg.get_id()))
                .to_string();
            assert!(!help.contains('\n') && help.len() < 110, "{help}");
            let name = format!("GENKAN_{}", arg.get_id().as_str().to_uppercase());
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(name.as_str()));
        }
    }
}
