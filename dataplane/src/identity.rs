//! Who calls: where a request shows it, and what the API server says about it.

mod cookie;
mod credential;
mod expiry;
mod subprotocol;
mod user;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use pingora_core::protocols::Digest;
use pingora_http::RequestHeader;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::bucket::{Buckets, Empty};
use crate::decisions::{Answered, Decisions, Key, Keys, Limits, Owner, Verdict};
use crate::kubernetes::{Kubernetes, Lane, TokenStatus, Unavailable};
use crate::metrics::Decided;
use crate::proxy::arriving;
use credential::Credential;

pub use credential::{KUBESPHERE_AUTHORIZATION, Places, Unreadable};
pub use user::{ANONYMOUS, Unsendable, User};

/// Tells who calls.
#[derive(Debug)]
pub struct Identity {
    anonymous: Arc<User>,
    /// `None`: nobody is asked, and everybody is anonymous.
    tokens: Option<Tokens>,
}

/// Tells whom a token belongs to.
#[derive(Debug)]
pub struct Tokens {
    places: Places,
    audiences: Arc<[String]>,
    kubernetes: Arc<Kubernetes>,
    decisions: Arc<Decisions<Option<Arc<User>>>>,
    keys: Arc<Keys>,
    /// By address: what tokens nobody knows may cost.
    strangers: Buckets,
    decided: Decided,
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

/// Tokens that turn out to be bad, of one address: so many at once, and then so many a second. Good ones cost nothing.
const BAD_AT_ONCE: u32 = 100;
const BAD_EACH_SECOND: u32 = 10;

// === impl Identity ===

impl Identity {
    pub fn disabled(keys: &Keys) -> Self {
        Self {
            anonymous: Arc::new(User::anonymous(keys)),
            tokens: None,
        }
    }

    pub fn new(tokens: Tokens) -> Self {
        Self {
            anonymous: Arc::new(User::anonymous(&tokens.keys)),
            tokens: Some(tokens),
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
        let token = match tokens
            .places
            .read(&request.headers, is_upgrade)
            .map_err(unreadable)?
        {
            Credential::Bearer(token) => token,
            Credential::Cookie(token) => {
                if !cookie::may_be_used(
                    &request.headers,
                    &request.method,
                    arriving::host(request),
                    is_upgrade,
                ) {
                    return Err(foreign_origin());
                }
                token.into()
            }
            Credential::Nothing => {
                let user = of_connection(digest).unwrap_or_else(|| Arc::clone(&self.anonymous));
                return Ok(Step::Known(user));
            }
        };
        tokens.recognize(&token, client)
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
            tokens.places.clear(request);
        }
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Instant) {
        if let Some(tokens) = &self.tokens {
            tokens.decisions.sweep(now);
        }
    }
}

/// The user that a connection's client certificate names: whoever ends TLS leaves it in the extension of the digest.
fn of_connection(digest: Option<&Digest>) -> Option<Arc<User>> {
    let tls = digest?.ssl_digest.as_ref()?;
    tls.extension.get::<Arc<User>>().cloned()
}

// === impl Tokens ===

impl Tokens {
    pub fn new(
        places: Places,
        audiences: Vec<String>,
        kubernetes: Arc<Kubernetes>,
        keys: Arc<Keys>,
        limits: Limits,
        decided: Decided,
    ) -> Self {
        Self {
            places,
            audiences: audiences.into(),
            kubernetes,
            decisions: Arc::new(Decisions::new(limits)),
            keys,
            strangers: Buckets::new(BAD_EACH_SECOND, BAD_AT_ONCE),
            decided,
        }
    }

    fn recognize(&self, token: &str, client: Option<IpAddr>) -> Result<Step, Answer> {
        let audiences = self.audiences.iter().map(String::as_bytes);
        let key = self.keys.of(std::iter::once(token.as_bytes()).chain(audiences));
        let known = self
            .decisions
            .known(&key, Instant::now(), self.kubernetes.is_away());
        let Some(known) = known else {
            let owner = self.keys.owner(client.map(network));
            let token = token.to_owned();
            return Ok(Step::Unknown(Question { token, key, owner }));
        };
        self.decided.known(known.is_stale);
        if known.is_due {
            let owner = self.keys.owner(client.map(network));
            self.decisions
                .renew(key, owner, || self.review(Lane::Renewal, token.to_owned()));
        }
        known.verdict.map(Step::Known).ok_or_else(rejected)
    }

    async fn ask(&self, question: Question) -> Result<Arc<User>, Answer> {
        let Question { token, key, owner } = question;
        let is_stranger = self.decisions.honoured(&key, Instant::now()).is_none();
        if is_stranger {
            self.strangers.take(owner, Instant::now()).map_err(too_many)?;
        }
        self.decided.unknown();
        let verdict = self
            .decisions
            .ask(key, owner, || self.review(Lane::Caller, token))
            .await;
        if is_stranger && !matches!(verdict, Ok(None)) {
            self.strangers.give_back(owner);
        }
        match verdict {
            Ok(user) => user.ok_or_else(rejected),
            Err(error) => match self.decisions.honoured(&key, Instant::now()) {
                Some(Some(user)) => {
                    self.decided.known(true);
                    Ok(user)
                }
                _ => Err(unavailable(&error)),
            },
        }
    }

    /// One TokenReview, whoever waits for it.
    fn review(
        &self,
        lane: Lane,
        token: String,
    ) -> impl Future<Output = Result<Answered<Option<Arc<User>>>, Unavailable>> + Send + 'static {
        let (kubernetes, audiences) = (Arc::clone(&self.kubernetes), Arc::clone(&self.audiences));
        let (keys, decided) = (Arc::clone(&self.keys), self.decided.clone());
        async move {
            let status = kubernetes.review_token(lane, &token, &audiences).await;
            let judged = status.and_then(|status| judge(status, &audiences, &keys));
            decided.reviewed(judged.as_ref().ok().map(Verdict::is_allow));
            Ok(Answered {
                verdict: judged?,
                ends_in: expiry::left(&token, SystemTime::now()),
            })
        }
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").finish_non_exhaustive()
    }
}

/// Reads the answer to a TokenReview. An answer without audiences is for the API server's own alone.
fn judge(status: TokenStatus, ours: &[String], keys: &Keys) -> Result<Option<Arc<User>>, Unavailable> {
    if !status.authenticated {
        return Ok(None);
    }
    if status.user.username.is_empty() {
        return Err(Unavailable(
            "the API server knows the token but names nobody".into(),
        ));
    }
    let theirs = status.audiences.unwrap_or_default();
    let both: Vec<String> = ours
        .iter()
        .filter(|audience| theirs.contains(audience))
        .cloned()
        .collect();
    if !ours.is_empty() && both.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(User::new(status.user, both, keys))))
}

/// Whoever has one address of version 6 has the whole network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 => v4,
    }
}

// What callers are told who are not known. Nothing of a credential is repeated.

fn unauthorized(reason: &'static str, message: String) -> Answer {
    Answer::status(401, reason, message).with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn unreadable(why: Unreadable) -> Answer {
    unauthorized("CredentialNotUnderstood", why.to_string())
}

fn rejected() -> Answer {
    let message = "the API server of this cluster does not accept the token; it may be expired or of another cluster or audience: \
         send a new one, or no Authorization header to call without a name";
    unauthorized("TokenRejected", message.to_owned())
}

fn foreign_origin() -> Answer {
    let message = "a token in a cookie is accepted for changes and WebSockets only from pages of this host, and neither Origin \
         nor Sec-Fetch-Site says so; send the token in the Authorization header";
    Answer::status(403, "OriginRefused", message)
}

fn too_many(empty: Empty) -> Answer {
    let message = "too many tokens that nobody knows came from this address; try again later";
    Answer::status(429, "TooManyTokens", message).with_header(RETRY_AFTER, empty.seconds().into())
}

fn unavailable(error: &Unavailable) -> Answer {
    let message =
        "nobody can say now whether the token is good, because the API server gives no answer; try again";
    Answer::status(503, "IdentityUnavailable", message)
        .with_header(RETRY_AFTER, 1.into())
        .with_detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::UserInfo;

    fn mk_status(username: &str, audiences: Option<&[&str]>) -> TokenStatus {
        TokenStatus {
            authenticated: true,
            user: UserInfo {
                username: username.into(),
                ..UserInfo::default()
            },
            audiences: audiences.map(|list| list.iter().map(|audience| (*audience).to_owned()).collect()),
            error: String::new(),
        }
    }

    fn judged(status: TokenStatus, ours: &[&str]) -> Result<Option<Vec<String>>, Unavailable> {
        let ours: Vec<String> = ours.iter().map(|audience| (*audience).to_owned()).collect();
        let user = judge(status, &ours, &Keys::default())?;
        Ok(user.map(|user| user.audiences.clone()))
    }

    #[test]
    fn token_must_be_for_one_of_our_audiences() {
        let both = mk_status("jane", Some(&["b", "x", "a"]));
        assert_eq!(judged(both, &["a", "b", "c"]).unwrap().unwrap(), ["a", "b"]);
        for theirs in [None, Some(&[][..]), Some(&["x"][..])] {
            assert!(
                judged(mk_status("jane", theirs), &["a"]).unwrap().is_none(),
                "{theirs:?}"
            );
            assert!(
                judged(mk_status("jane", theirs), &[]).unwrap().is_some(),
                "{theirs:?}"
            );
        }
    }

    #[test]
    fn odd_answers_are_no_identity() {
        assert!(judged(TokenStatus::default(), &[]).unwrap().is_none());
        assert!(judged(mk_status("", None), &[]).is_err());
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let network = |text: &str| super::network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3::9"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn refusal_says_how_to_authenticate() {
        let answer = rejected();
        assert_eq!(answer.code, 401);
        assert!(
            answer
                .headers
                .contains(&(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
        );
    }
}
