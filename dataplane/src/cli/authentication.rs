use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use genkan_routing::access::Mode;
use genkan_routing::credential::Places;

use super::duration;

/// Who may call, and what backends learn of it.
#[derive(Args, Clone, Debug)]
pub struct AuthenticationArgs {
    /// Who may call: tokens judged by Kubernetes, or everybody without a name
    #[arg(
        long,
        env = "GENKAN_AUTHENTICATION",
        value_name = "MODE",
        default_value = "kubernetes"
    )]
    pub authentication: Authentication,
    /// Kubeconfig for token and access reviews; in a Pod the service account is used instead
    #[arg(long, env = "GENKAN_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Audience that tokens must be for, one of them; repeatable [default: the API server's own]
    #[arg(long, env = "GENKAN_AUDIENCE", value_name = "NAME", value_delimiter = ',')]
    pub audience: Vec<String>,
    /// Cookie whose value counts as bearer token, for browsers [default: none]
    #[arg(long, env = "GENKAN_TOKEN_COOKIE", value_name = "NAME")]
    pub token_cookie: Option<String>,
    /// Whether rights on the path of a ReverseProxy's matcher suffice, or each path is asked about
    #[arg(
        long,
        env = "GENKAN_ACCESS_REVIEW",
        value_name = "WHAT",
        default_value = "pattern"
    )]
    pub access_review: AccessReview,
    /// How long a yes is honoured beyond its minute while the API server gives no answer
    #[arg(long, env = "GENKAN_STALE_IF_ERROR", value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub stale_if_error: Duration,
    /// Whether credentials that were verified reach backends that did not ask for them
    #[arg(
        long,
        env = "GENKAN_FORWARD_AUTHORIZATION",
        value_name = "WHEN",
        default_value = "never"
    )]
    pub forward_authorization: ForwardAuthorization,
    /// Certificate to show to backends that ask for one, PEM; read again when it changes
    #[arg(
        long,
        env = "GENKAN_PROXY_CLIENT_CERT_FILE",
        value_name = "FILE",
        requires = "proxy_client_key_file"
    )]
    pub proxy_client_cert_file: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(
        long,
        env = "GENKAN_PROXY_CLIENT_KEY_FILE",
        value_name = "FILE",
        requires = "proxy_client_cert_file"
    )]
    pub proxy_client_key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Authentication {
    Kubernetes,
    Disabled,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ForwardAuthorization {
    Never,
    Always,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AccessReview {
    Pattern,
    Exact,
}

// === impl AuthenticationArgs ===

impl AuthenticationArgs {
    pub fn is_disabled(&self) -> bool {
        self.authentication == Authentication::Disabled
    }

    /// Where a request may carry a token.
    pub fn places(&self) -> Places {
        Places {
            cookie: self.token_cookie.clone(),
        }
    }
}

// === impl AccessReview ===

impl From<AccessReview> for Mode {
    fn from(review: AccessReview) -> Self {
        match review {
            AccessReview::Pattern => Self::Pattern,
            AccessReview::Exact => Self::Exact,
        }
    }
}
