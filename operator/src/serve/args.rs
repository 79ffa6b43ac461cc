use std::net::SocketAddr;
use std::time::Duration;

use clap::Args as ClapArgs;
use genkan_tools::source::Source;

use super::review::Account;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Flags of the configuration stream, and of the identities of the data plane.
#[derive(Clone, Debug, ClapArgs)]
#[group(skip)]
pub struct Args {
    /// Address of the configuration stream
    #[arg(
        long,
        env = "GENKAN_GRPC_LISTEN",
        default_value = "127.0.0.1:9300",
        value_name = "ADDRESS"
    )]
    pub grpc_listen: SocketAddr,
    /// Serve the stream in plain text and ask for no token; only between loopback addresses
    #[arg(long, env = "GENKAN_GRPC_PLAINTEXT")]
    pub grpc_plaintext: bool,
    /// Send the values of Secrets in plain text too; without it a stream in plain text has none
    #[arg(long, env = "GENKAN_GRPC_PLAINTEXT_SECRETS", requires = "grpc_plaintext")]
    pub grpc_plaintext_secrets: bool,
    /// Service by which proxies reach the stream: the name in its certificate
    #[arg(
        long,
        env = "GENKAN_GRPC_SERVICE",
        default_value = "genkan-operator",
        value_name = "NAME"
    )]
    pub grpc_service: String,
    /// Secret of the stream's certificate: one that exists is used, else the operator makes one
    #[arg(
        long,
        env = "GENKAN_GRPC_SECRET",
        default_value = "genkan-stream",
        value_name = "NAME"
    )]
    pub grpc_secret: String,
    /// ConfigMap that tells proxies which authority signed it
    #[arg(
        long,
        env = "GENKAN_GRPC_CA_CONFIGMAP",
        default_value = "genkan-stream-ca",
        value_name = "NAME"
    )]
    pub grpc_ca_configmap: String,
    /// How long another authority is told of before anything that it signed is used, such as 5m
    #[arg(
        long,
        env = "GENKAN_CA_OVERLAP",
        default_value = "5m",
        value_parser = overlap,
        value_name = "TIME"
    )]
    pub ca_overlap: Duration,
    /// ServiceAccount of the proxies [default: genkan-dataplane in --namespace]
    #[arg(long, env = "GENKAN_DATAPLANE_SERVICE_ACCOUNT", value_name = "NAMESPACE/NAME")]
    pub dataplane_service_account: Option<String>,
    /// Secret of the certificate that proxies show to backends, treated as --grpc-secret is
    #[arg(
        long,
        env = "GENKAN_PROXY_CLIENT_SECRET",
        default_value = "genkan-proxy-client",
        value_name = "NAME"
    )]
    pub proxy_client_secret: String,
    /// Secret of the key under which values of Secrets are hashed; made if there is none
    #[arg(
        long,
        env = "GENKAN_HASH_KEY_SECRET",
        default_value = "genkan-hash-key",
        value_name = "NAME"
    )]
    pub hash_key_secret: String,
    /// ConfigMap that tells extension API servers how to know the proxies by it
    #[arg(
        long,
        env = "GENKAN_REQUESTHEADER_CONFIGMAP",
        default_value = "genkan-requestheader",
        value_name = "NAME"
    )]
    pub requestheader_configmap: String,
}

// === impl Args ===

impl Args {
    /// What the parser cannot know: combinations that would be unsafe.
    ///
    /// # Errors
    /// One sentence that says what to change.
    pub fn check(&self, source: &Source) -> Result<(), String> {
        let address = self.grpc_listen;
        if self.grpc_plaintext && !address.ip().is_loopback() {
            return Err(format!(
                "--grpc-plaintext is only for loopback addresses, and --grpc-listen is {address}; \
                 listen on 127.0.0.1 or [::1]"
            ));
        }
        if !self.grpc_plaintext && matches!(source, Source::Directory(_)) {
            return Err(
                "with --source dir:PATH there is no API server that could verify the tokens of proxies; \
                 say --grpc-plaintext, which is for loopback addresses"
                    .into(),
            );
        }
        Ok(())
    }

    /// # Errors
    /// When the flag has not the form that its help says.
    pub fn account(&self, namespace: &str) -> Result<Account, String> {
        let account = |namespace: &str, name: &str| Account {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        match &self.dataplane_service_account {
            None => Ok(account(namespace, "genkan-dataplane")),
            Some(text) => match text.split_once('/') {
                Some((ns, name)) if !ns.is_empty() && !name.is_empty() && !name.contains('/') => {
                    Ok(account(ns, name))
                }
                _ => Err(format!(
                    "--dataplane-service-account {text:?} is not NAMESPACE/NAME"
                )),
            },
        }
    }
}

fn overlap(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let duration = parsed.and_then(|parsed| Duration::try_from(parsed).ok());
    duration
        .filter(|duration| *duration <= DAY)
        .ok_or_else(|| "must be a time up to a day, such as 30s, 5m or 1h".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn mk_args(more: &[&str]) -> Args {
        Line::parse_from([&["genkan"], more].concat()).args
    }

    #[test]
    fn plain_text_is_for_loopback_and_folders_for_plain_text() {
        let folder = Source::Directory("x".into());
        for address in ["127.0.0.1:1", "[::1]:1"] {
            let args = mk_args(&["--grpc-plaintext", "--grpc-listen", address]);
            assert_eq!(args.check(&Source::Kubernetes), Ok(()));
            assert_eq!(args.check(&folder), Ok(()));
        }
        let open = mk_args(&["--grpc-plaintext", "--grpc-listen", "10.0.0.1:1"]);
        assert!(open.check(&Source::Kubernetes).unwrap_err().contains("loopback"));
        let secured = mk_args(&["--grpc-listen", "10.0.0.1:1"]);
        assert_eq!(secured.check(&Source::Kubernetes), Ok(()));
        assert!(secured.check(&folder).unwrap_err().contains("--grpc-plaintext"));
    }

    #[test]
    fn an_overlap_is_a_time() {
        assert_eq!(mk_args(&[]).ca_overlap, Duration::from_secs(300));
        for (text, seconds) in [("0s", 0), ("90s", 90), ("1h", 3600), ("24h", 86400)] {
            assert_eq!(overlap(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "5", "-5m", "25h", "x"] {
            assert!(overlap(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_in_plain_text_are_asked_for_by_name() {
        let parse = |more: &[&str]| Line::try_parse_from([&["genkan"], more].concat());
        assert!(parse(&["--grpc-plaintext-secrets"]).is_err());
        let asked = parse(&["--grpc-plaintext", "--grpc-plaintext-secrets"])
            .ok()
            .unwrap();
        assert!(asked.args.grpc_plaintext_secrets);
        assert!(!mk_args(&["--grpc-plaintext"]).grpc_plaintext_secrets);
    }

    #[test]
    fn the_account_of_the_proxies_has_a_namespace() {
        let account = mk_args(&[]).account("gate").unwrap();
        assert_eq!(account.to_string(), "gate/genkan-dataplane");
        let named = mk_args(&["--dataplane-service-account", "edge/proxy"]);
        assert_eq!(named.account("gate").unwrap().to_string(), "edge/proxy");
        for bad in ["proxy", "/proxy", "edge/", "a/b/c"] {
            let args = mk_args(&["--dataplane-service-account", bad]);
            assert!(args.account("gate").unwrap_err().contains("NAMESPACE/NAME"));
        }
    }
}
