//! Who calls: where a request shows it, and what the API server says about it.

pub(crate) mod expiry;
mod recent;
mod tokens;
mod user;

use genkan_routing::answer::reason;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use genkan_routing::credential::Places;

use crate::bucket::Empty;
use crate::certificates::{CallerAuthorities, CallerCertificate};
use crate::decisions::{Key, Keys, Owner};
use crate::kubernetes::{Unavailable, UserInfo};
use genkan_routing::answer::Answer;
pub use recent::Recent;
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

    /// Where credentials are looked for; absent where nobody has a name.
    pub fn places(&self) -> Option<&Places> {
        self.tokens.as_ref().map(|tokens| &tokens.places)
    }

    /// Who shows nothing.
    pub fn anonymous(&self) -> Arc<User> {
        Arc::clone(&self.anonymous)
    }

    /// Somebody whom nobody here has asked about: a policy has found out who it is.
    pub fn named(&self, username: &str, groups: &[String]) -> Arc<User> {
        let info = UserInfo {
            username: username.to_owned(),
            groups: Some(groups.to_vec()),
            ..UserInfo::default()
        };
        let keys = self.tokens.as_ref().map(Tokens::keys);
        let user = keys.map(|keys| User::new(info, Vec::new(), keys));
        user.map_or_else(|| self.anonymous(), Arc::new)
    }

    /// Does anybody become known by the certificate of a connection?
    pub fn knows_certificates(&self) -> bool {
        self.authorities.is_some()
    }

    /// The user that the client certificate of a connection names.
    ///
    /// # Errors
    /// The answer to one that no longer counts.
    pub fn of_certificate(&self, certificate: Option<&CallerCertificate>) -> Result<Arc<User>, Answer> {
        match (&self.authorities, certificate) {
            (Some(authorities), Some(certificate)) if authorities.accepts(certificate) => {
                Ok(Arc::clone(&certificate.user))
            }
            _ => Err(outlived()),
        }
    }

    /// Whom a token belongs to, as far as that is known. `recent` is the token that its connection showed last.
    ///
    /// # Errors
    /// The answer to one that is known to be bad.
    pub fn of_token(
        &self,
        token: &str,
        client: Option<IpAddr>,
        recent: &mut Option<Recent>,
    ) -> Result<Step, Answer> {
        match &self.tokens {
            Some(tokens) => tokens.recognize(token, client, recent),
            None => Ok(Step::Known(self.anonymous())),
        }
    }

    /// Asks what `of_token` could not tell.
    ///
    /// # Errors
    /// The answer to whoever is not known after that.
    pub async fn ask(&self, question: Question) -> Result<Arc<User>, Answer> {
        match &self.tokens {
            Some(tokens) => tokens.ask(question).await,
            None => Ok(Arc::clone(&self.anonymous)),
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

fn rejected() -> Answer {
    let message = "the API server of this cluster does not accept the token; it may be expired or of another cluster or audience: \
         send a new one, or no Authorization header to call without a name";
    Answer::status(401, reason::TOKEN_REJECTED, message)
}

fn outlived() -> Answer {
    let message = "the client certificate of this connection is expired, or its authority is not trusted any more; \
         connect anew, with another certificate or with a token";
    Answer::status(401, reason::CERTIFICATE_REJECTED, message)
}

fn too_many(empty: Empty) -> Answer {
    let message = "too many tokens that nobody knows came from this address; try again later";
    Answer::status(429, reason::TOO_MANY_TOKENS, message).with_retry_after(empty.seconds())
}

fn unavailable(error: &Unavailable) -> Answer {
    let message =
        "nobody can say now whether the token is good, because the API server gives no answer; try again";
    Answer::status(503, reason::IDENTITY_UNAVAILABLE, message)
        .with_retry_after(1)
        .with_detail(error.to_string())
}
