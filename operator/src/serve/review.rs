//! Who a token belongs to, as the API server says.

use std::time::Duration;

use futures::future::BoxFuture;
use genkan_callers::Unavailable;
use genkan_compile::sentence::sentence;
use genkan_proto::AUDIENCE;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::{Api, PostParams};
use tonic::{Code, Status};

use super::token::Token;

/// For one review.
const TIMEOUT: Duration = Duration::from_secs(5);
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// Asks who a token belongs to.
pub trait TokenReviewer: Send + Sync + 'static {
    /// The answer, or in one sentence why there is none.
    fn review(&self, token: Token) -> BoxFuture<'static, Result<TokenReviewStatus, String>>;
}

/// By TokenReview.
#[derive(Clone)]
pub struct Kubernetes(pub kube::Client);

/// The ServiceAccount that proxies run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub namespace: String,
    pub name: String,
}

/// The Pod that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub pod: String,
    pub uid: String,
}

/// Why a call is not served. The text is for the proxy, and says nothing that a stranger should not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no token was sent: start the data plane with --operator-token-file")]
    NoToken,
    #[error("what was sent is no ServiceAccount token: look at --operator-token-file of the data plane")]
    Malformed,
    #[error(
        "the API server does not accept the token for the audience {AUDIENCE}: it has expired, its Pod is gone, or it \
         was made for another audience"
    )]
    Rejected,
    #[error("the token is not one for the audience {AUDIENCE}: set that audience in its projected volume")]
    Audience,
    #[error("{0} is not who proxies run as: look at --dataplane-service-account of the operator")]
    Account(String),
    #[error("the token is not bound to a Pod: use one from a projected volume")]
    Unbound,
    #[error("Pod {0} is gone")]
    PodGone(String),
    #[error("the token has expired: read a fresh one")]
    Expired,
    #[error("the operator cannot have tokens reviewed now: try again")]
    Unavailable,
    #[error("too many tokens are being reviewed: try again")]
    Busy,
}

impl From<Unavailable> for Refusal {
    fn from(why: Unavailable) -> Self {
        match why {
            Unavailable::Busy => Self::Busy,
            Unavailable::Away(_) | Unavailable::Unclear(_) => Self::Unavailable,
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// For the metric.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "NoToken",
            Self::Malformed => "Malformed",
            Self::Rejected => "Rejected",
            Self::Audience => "Audience",
            Self::Account(_) => "ServiceAccount",
            Self::Unbound => "NotBound",
            Self::PodGone(_) => "PodGone",
            Self::Expired => "Expired",
            Self::Unavailable => "Unavailable",
            Self::Busy => "Busy",
        }
    }

    /// It says something about now, and nothing about the token.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Busy)
    }

    pub fn status(&self) -> Status {
        let code = match self {
            Self::Unavailable | Self::Busy => Code::Unavailable,
            Self::Account(_) | Self::Unbound => Code::PermissionDenied,
            Self::NoToken
            | Self::Malformed
            | Self::Rejected
            | Self::Audience
            | Self::PodGone(_)
            | Self::Expired => Code::Unauthenticated,
        };
        Status::new(code, self.to_string())
    }
}

// === impl Account ===

impl Account {
    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The Pod that an answer names, if it is one of ours.
///
/// # Errors
/// Says why not.
pub fn judge(answer: &TokenReviewStatus, account: &Account) -> Result<Identity, Refusal> {
    if answer.authenticated != Some(true) || answer.error.as_ref().is_some_and(|error| !error.is_empty()) {
        return Err(Refusal::Rejected);
    }
    // An empty list means that the token is good for the API server, which says nothing about us.
    let audiences = answer.audiences.as_deref().unwrap_or_default();
    if !audiences.iter().any(|audience| audience == AUDIENCE) {
        return Err(Refusal::Audience);
    }
    let user = answer.user.clone().unwrap_or_default();
    let name = user.username.unwrap_or_default();
    if name != account.user() {
        return Err(Refusal::Account(name));
    }
    let extra = user.extra.unwrap_or_default();
    let one = |key: &str| match extra.get(key).map(Vec::as_slice) {
        Some([value]) if !value.is_empty() => Ok(value.clone()),
        _ => Err(Refusal::Unbound),
    };
    Ok(Identity {
        pod: one(POD_NAME)?,
        uid: one(POD_UID)?,
    })
}

impl TokenReviewer for Kubernetes {
    fn review(&self, token: Token) -> BoxFuture<'static, Result<TokenReviewStatus, String>> {
        let reviews = Api::<TokenReview>::all(self.0.clone());
        Box::pin(async move {
            let review = TokenReview {
                spec: TokenReviewSpec {
                    audiences: Some(vec![AUDIENCE.to_owned()]),
                    token: token.text().to_owned(),
                },
                ..TokenReview::default()
            };
            let params = PostParams::default();
            match tokio::time::timeout(TIMEOUT, reviews.create(&params, &review)).await {
                Ok(Ok(answer)) => answer.status.ok_or_else(|| "the answer has no status".to_owned()),
                Ok(Err(error)) => Err(sentence(&error)),
                Err(_) => Err(format!("the API server did not answer within {TIMEOUT:?}")),
            }
        })
    }
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kubernetes")
    }
}

#[cfg(test)]
pub(super) mod tests;
