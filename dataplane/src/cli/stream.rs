use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// Where the configuration comes from, and how this process says who it is.
#[derive(Args, Clone, Debug)]
pub struct StreamArgs {
    /// Address of the operator's stream: https://HOST:PORT, or http://127.0.0.1:PORT
    #[arg(long, env = "GENKAN_OPERATOR", value_name = "URL")]
    pub operator: String,
    /// Authorities that may sign the operator's certificate, in PEM; read at each connect [default: none]
    #[arg(long, env = "GENKAN_OPERATOR_CA_FILE", value_name = "FILE")]
    pub operator_ca_file: Option<PathBuf>,
    /// ServiceAccount token for the operator, of the audience stream.genkan.io; read at each connect
    #[arg(
        long,
        env = "GENKAN_OPERATOR_TOKEN_FILE",
        value_name = "FILE",
        default_value = "/var/run/secrets/genkan/token"
    )]
    pub operator_token_file: PathBuf,
}

/// Why an address is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum StreamRefused {
    #[error("--operator {0} is no address of the form https://HOST:PORT")]
    Form(String),
    #[error(
        "--operator {0} would send the token of this process in plain text; use https:// with --operator-ca-file, or \
         an address of the form http://127.0.0.1:PORT"
    )]
    Plain(String),
    #[error(
        "--operator {0} needs --operator-ca-file: the file with the authority that signed the operator's certificate"
    )]
    Authority(String),
}

// === impl StreamArgs ===

impl StreamArgs {
    /// What the parser cannot know.
    ///
    /// # Errors
    /// One sentence that says what to change.
    pub fn check(&self) -> Result<(), StreamRefused> {
        let operator = || self.operator.clone();
        let uri = self.operator.parse::<http::Uri>();
        let uri = uri.map_err(|_| StreamRefused::Form(operator()))?;
        let host = uri.host().unwrap_or_default();
        if host.is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(StreamRefused::Form(operator()));
        }
        match uri.scheme_str() {
            Some("https") if self.operator_ca_file.is_none() => Err(StreamRefused::Authority(operator())),
            Some("https") => Ok(()),
            Some("http") if is_loopback(host) => Ok(()),
            Some("http") => Err(StreamRefused::Plain(operator())),
            _ => Err(StreamRefused::Form(operator())),
        }
    }

    /// The files that a secured stream needs; `None` in plain text.
    pub fn credentials(&self) -> Option<crate::stream::Credentials> {
        let ca = self.operator_ca_file.clone()?;
        self.operator
            .starts_with("https:")
            .then(|| crate::stream::Credentials {
                ca,
                token: self.operator_token_file.clone(),
            })
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_args(operator: &str, ca: Option<&str>) -> StreamArgs {
        StreamArgs {
            operator: operator.into(),
            operator_ca_file: ca.map(Into::into),
            operator_token_file: "/token".into(),
        }
    }

    #[test]
    fn plain_text_stays_on_loopback() {
        for bad in ["http://10.0.0.1:1", "http://operator.example", "http://[::2]:1"] {
            let checked = mk_args(bad, Some("/ca")).check();
            assert_eq!(checked, Err(StreamRefused::Plain(bad.into())));
        }
        for good in ["http://127.0.0.1:1", "http://[::1]:1/", "http://localhost:1"] {
            assert_eq!(mk_args(good, None).check(), Ok(()), "{good}");
            assert!(mk_args(good, Some("/ca")).credentials().is_none());
        }
    }

    #[test]
    fn a_secured_stream_needs_an_authority() {
        let operator = "https://genkan-operator.genkan-system.svc:9300";
        let refused = mk_args(operator, None).check().unwrap_err();
        assert_eq!(refused, StreamRefused::Authority(operator.into()));
        let args = mk_args(operator, Some("/ca"));
        assert_eq!(args.check(), Ok(()));
        let credentials = args.credentials().unwrap();
        assert_eq!(credentials.ca, PathBuf::from("/ca"));
        assert_eq!(credentials.token, PathBuf::from("/token"));
    }

    #[test]
    fn what_is_no_address_is_told_the_form_of_one() {
        for bad in [
            "",
            "127.0.0.1:1",
            "ftp://127.0.0.1:1",
            "https://x/path",
            "https://x?query",
            "https://",
        ] {
            let checked = mk_args(bad, Some("/ca")).check();
            assert_eq!(checked, Err(StreamRefused::Form(bad.into())));
        }
    }
}
