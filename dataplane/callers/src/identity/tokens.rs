use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use genkan_routing::credential::Places;
use tokio::time::Instant;

use super::{Question, Recent, Step, User, expiry, rejected, too_many, unavailable};
use crate::bucket::Buckets;
use crate::decided::Decided;
use crate::decisions::{Answered, Cacheable, Decisions, Key, Keys, Limits, Owner};
use crate::kubernetes::{Kubernetes, Lane, TokenStatus, Unavailable};
use genkan_routing::answer::Answer;

/// Tells whom a token belongs to.
#[derive(Debug)]
pub struct Tokens {
    pub places: Places,
    audiences: Arc<[String]>,
    kubernetes: Arc<Kubernetes>,
    decisions: Arc<Decisions<Option<Arc<User>>>>,
    keys: Arc<Keys>,
    /// By address: what tokens nobody knows may cost.
    strangers: Arc<Buckets>,
    decided: Decided,
}

/// Tokens that turn out to be bad, of one address: so many at once, and then so many a second. Good ones cost nothing.
const BAD_AT_ONCE: u32 = 100;
const BAD_EACH_SECOND: u32 = 10;

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
            strangers: Arc::new(Buckets::new(BAD_EACH_SECOND, BAD_AT_ONCE)),
            decided,
        }
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Forgets what is over.
    pub fn sweep(&self, now: Instant) {
        self.decisions.sweep(now);
    }

    /// What is known of a token.
    ///
    /// # Errors
    /// The answer to one that is known to be bad.
    pub fn recognize(
        &self,
        token: &str,
        client: Option<IpAddr>,
        recent: &mut Option<Recent>,
    ) -> Result<Step, Answer> {
        let same = recent.as_ref().and_then(|recent| recent.key(token));
        let key = same.unwrap_or_else(|| self.key(token));
        let known = self
            .decisions
            .known(&key, Instant::now(), self.kubernetes.is_away());
        let Some(known) = known else {
            let owner = self.keys.owner(client.map(network));
            let token = token.to_owned();
            return Ok(Step::Unknown(Question { token, key, owner }));
        };
        self.decided.known(known.is_stale);
        if known.is_due && self.kubernetes.takes_renewals() {
            let owner = self.keys.owner(client.map(network));
            self.decisions
                .renew(key, owner, || self.review(Lane::Renewal, token.to_owned()));
        }
        let user = known.verdict.ok_or_else(rejected)?;
        if same.is_none() {
            *recent = Recent::of(token, key);
        }
        Ok(Step::Known(user))
    }

    fn key(&self, token: &str) -> Key {
        let audiences = self.audiences.iter().map(String::as_bytes);
        self.keys.of(std::iter::once(token.as_bytes()).chain(audiences))
    }

    /// Asks about a token, if its address has not asked about too many bad ones.
    ///
    /// # Errors
    /// The answer to whoever is not known after that.
    pub async fn ask(&self, question: Question) -> Result<Arc<User>, Answer> {
        let Question { token, key, owner } = question;
        let now = Instant::now();
        // A question that is being asked already costs nothing more.
        let is_stranger = self.decisions.honoured(&key, now).is_none() && !self.decisions.is_asked(&key);
        let charged = if is_stranger {
            Some(self.strangers.take(owner, now).map_err(too_many)?)
        } else {
            None
        };
        self.decided.unknown();
        let verdict = self
            .decisions
            .ask(key, owner, || self.first_review(token, charged))
            .await;
        match verdict {
            Ok(user) => user.ok_or_else(rejected),
            Err(error) => match self.decisions.honoured(&key, Instant::now()) {
                Some(Some(user)) if error.is_away() => {
                    self.decided.known(true);
                    Ok(user)
                }
                _ => Err(unavailable(&error)),
            },
        }
    }

    /// A TokenReview for somebody who waits. Whoever turns out to be good is not charged for it, even if gone by then.
    fn first_review(
        &self,
        token: String,
        charged: Option<Owner>,
    ) -> impl Future<Output = Result<Answered<Option<Arc<User>>>, Unavailable>> + Send + 'static {
        let (review, strangers) = (self.review(Lane::Token, token), Arc::clone(&self.strangers));
        async move {
            let answer = review.await;
            let is_bad = match &answer {
                Ok(answered) => !answered.verdict.is_allow(),
                Err(error) => *error == Unavailable::Busy,
            };
            if let (Some(owner), false) = (charged, is_bad) {
                strangers.give_back(owner);
            }
            answer
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
            decided.reviewed(judged.as_ref().ok().map(Cacheable::is_allow));
            Ok(Answered {
                verdict: judged?,
                ends_in: expiry::left(&token, SystemTime::now()),
            })
        }
    }
}

/// Reads the answer to a TokenReview. An answer without audiences is for the API server's own alone.
fn judge(status: TokenStatus, ours: &[String], keys: &Keys) -> Result<Option<Arc<User>>, Unavailable> {
    if !status.authenticated {
        return Ok(None);
    }
    if status.user.username.is_empty() {
        return Err(Unavailable::Unclear(
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::registry::Registry;

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

    /// With an API server that is away.
    fn mk_tokens() -> Tokens {
        let [tokens, _] = crate::register(&mut Registry::default());
        Tokens::new(
            Places::default(),
            Vec::new(),
            Arc::new(crate::kubernetes::away()),
            Arc::new(Keys::default()),
            Limits::new(Duration::from_secs(300)),
            tokens,
        )
    }

    /// As if the API server had known the token.
    async fn learn(tokens: &Tokens, token: &str) {
        let key = tokens.keys.of([token.as_bytes()]);
        let user = Arc::new(User::anonymous(&tokens.keys));
        let answered = Answered {
            verdict: Some(user),
            ends_in: None,
        };
        let review = || std::future::ready(Ok(answered));
        tokens.decisions.ask(key, 1, review).await.unwrap();
    }

    async fn call(tokens: &Tokens, token: &str) -> Result<Arc<User>, u16> {
        let step = tokens
            .recognize(token, None, &mut None)
            .map_err(|answer| answer.code)?;
        match step {
            Step::Known(user) => Ok(user),
            Step::Unknown(question) => tokens.ask(question).await.map_err(|answer| answer.code),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_known_is_let_in_while_the_api_server_is_away_and_nobody_else() {
        let tokens = mk_tokens();
        learn(&tokens, "jane").await;
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!tokens.kubernetes.is_away());
        assert!(call(&tokens, "jane").await.is_ok());
        assert!(tokens.kubernetes.is_away());
        assert!(
            matches!(tokens.recognize("jane", None, &mut None), Ok(Step::Known(_))),
            "without another attempt"
        );
        assert_eq!(call(&tokens, "joe").await.unwrap_err(), 503);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(call(&tokens, "jane").await.unwrap_err(), 503);
    }

    #[tokio::test(start_paused = true)]
    async fn api_server_that_is_away_is_tried_once_a_second() {
        let tokens = mk_tokens();
        assert!(tokens.kubernetes.takes_renewals() && tokens.kubernetes.takes_renewals());
        assert_eq!(call(&tokens, "joe").await.unwrap_err(), 503);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tokens.kubernetes.takes_renewals());
        assert!(!tokens.kubernetes.takes_renewals());
    }
}
