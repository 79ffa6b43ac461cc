//! Who calls: where a request shows it, and what the API server says about it.

mod expiry;
mod tokens;
mod user;

use std::net::IpAddr;
use std::sync::Arc;

use pingora_core::protocols::Digest;
use pingora_http::RequestHeader;
use tokio::time::Instant;

use genkan_routing::Refused;
use genkan_routing::credential::{self, Credential};

use crate::answer::{Answer, Hint};
use crate::authority;
use crate::bucket::Empty;
use crate::decisions::{Key, Keys, Owner};
use crate::kubernetes::Unavailable;
use crate::listening::{CallerAuthorities, CallerCertificate};
use crate::proxy::fields::Fields;
pub use tokens::Tokens;
pub use user::{AUTHENTICATED, User};

/// Tells who calls.
#[derive(Debug)]
pub struct Identity {
    anonymous: Arc<User>,
    /// `None`: nobody is asked, and everybody is anonymous.
    tokens: Option<Tokens>,
    authorities: Option<Arc<CallerAuthorities>>,
}

/// How far the look at one request has come.
#[derive(Debug)]
pub enum Step {
    Known(Arc<User>),
    /// Somebody has to be asked.
    Unknown(Question),
}

/// About one token.
pub struct Question {
    token: String,
    key: Key,
    owner: Owner,
}

// === impl Identity ===

impl Identity {
    pub fn disabled(keys: &Keys) -> Self {
        Self {
            anonymous: Arc::new(User::anonymous(keys)),
            tokens: None,
            authorities: None,
        }
    }

    /// `authorities` are those whose client certificates count.
    pub fn new(tokens: Tokens, authorities: Option<Arc<CallerAuthorities>>) -> Self {
        Self {
            anonymous: Arc::new(User::anonymous(tokens.keys())),
            tokens: Some(tokens),
            authorities,
        }
    }

    /// Looks at a request; `digest` is that of its connection.
    ///
    /// # Errors
    /// The answer to a request that is refused at sight.
    pub fn recognize(
        &self,
        request: &RequestHeader,
        digest: Option<&Digest>,
        client: Option<IpAddr>,
        is_upgrade: bool,
    ) -> Result<Step, Answer> {
        let Some(tokens) = &self.tokens else {
            return Ok(Step::Known(Arc::clone(&self.anonymous)));
        };
        // In the order of Kubernetes: a certificate comes before a token.
        if let Some(user) = self.of_connection(digest)? {
            let host = authority::named(request);
            if credential::is_of_another_site(&request.headers, request.method.as_str(), host, is_upgrade) {
                return Err(credential::foreign_origin().into());
            }
            return Ok(Step::Known(user));
        }
        let host = authority::named(request);
        let token = match tokens
            .places
            .read_usable(&request.headers, request.method.as_str(), host, is_upgrade)
            .map_err(unauthorized)?
        {
            Credential::Bearer(token) => token,
            Credential::Cookie(token) => token.into(),
            Credential::Nothing => return Ok(Step::Known(Arc::clone(&self.anonymous))),
        };
        tokens.recognize(&token, client)
    }

    /// The user that the client certificate of a connection names.
    fn of_connection(&self, digest: Option<&Digest>) -> Result<Option<Arc<User>>, Answer> {
        let Some(authorities) = &self.authorities else {
            return Ok(None);
        };
        let tls = digest.and_then(|digest| digest.ssl_digest.as_ref());
        match tls.and_then(|tls| tls.extension.get::<CallerCertificate>()) {
            None => Ok(None),
            Some(certificate) if authorities.accepts(certificate) => Ok(Some(Arc::clone(&certificate.user))),
            Some(_) => Err(outlived()),
        }
    }

    /// Asks what `recognize` could not tell.
    ///
    /// # Errors
    /// The answer to whoever is not known after that.
    pub async fn ask(&self, question: Question) -> Result<Arc<User>, Answer> {
        match &self.tokens {
            Some(tokens) => tokens.ask(question).await,
            None => Ok(Arc::clone(&self.anonymous)),
        }
    }

    /// Takes out of a request what only we were to see.
    pub fn clear(&self, request: &mut RequestHeader) {
        if let Some(tokens) = &self.tokens {
            tokens.places.clear(&mut Fields(request));
        }
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Instant) {
        if let Some(tokens) = &self.tokens {
            tokens.sweep(now);
        }
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").finish_non_exhaustive()
    }
}

// What callers are told who are not known. Nothing of a credential is repeated.

fn unauthorized(refused: Refused) -> Answer {
    let is_unknown = refused.code == 401;
    let answer = Answer::from(refused);
    if is_unknown {
        answer.with_hint(Hint::Authenticate)
    } else {
        answer
    }
}

fn rejected() -> Answer {
    let message = "the API server of this cluster does not accept the token; it may be expired or of another cluster or audience: \
         send a new one, or no Authorization header to call without a name";
    unauthorized(Refused::new(401, "TokenRejected", message))
}

fn outlived() -> Answer {
    let message = "the client certificate of this connection is expired, or its authority is not trusted any more; \
         connect anew, with another certificate or with a token";
    unauthorized(Refused::new(401, "CertificateRejected", message))
}

fn too_many(empty: Empty) -> Answer {
    let message = "too many tokens that nobody knows came from this address; try again later";
    Answer::status(429, "TooManyTokens", message).with_hint(Hint::RetryAfter(empty.seconds()))
}

fn unavailable(error: &Unavailable) -> Answer {
    let message =
        "nobody can say now whether the token is good, because the API server gives no answer; try again";
    Answer::status(503, "IdentityUnavailable", message)
        .with_hint(Hint::RetryAfter(1))
        .with_detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_says_how_to_authenticate() {
        let answer = rejected();
        assert_eq!(answer.code, 401);
        assert_eq!(answer.hint, Some(Hint::Authenticate));
    }
}
