//! Credentials that a policy of a class makes: on threads of their own, two at a time, so that no policy keeps a request
//! waiting that has nothing to do with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use genkan_rego::{Failure, Input, Policy};
use genkan_routing::answer::{Answer, reason};
use genkan_routing::arriving::media_type;
use genkan_routing::connectors::Injected;
use genkan_routing::decide::{Evaluation, Verb};
use genkan_routing::model::Secret;
use genkan_routing::target::parameters;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use parking_lot::RwLock;
use pingora_http::RequestHeader;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Policies of all classes, read.
#[derive(Debug)]
pub struct Generators {
    /// By class, and by auth type of the class.
    read: RwLock<HashMap<String, HashMap<String, Arc<Generator>>>>,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Generator {
    text: String,
    policy: Result<Policy, String>,
    /// How often in a row it took too long.
    late: AtomicU32,
    /// It is asked again then.
    rests: RwLock<Option<Instant>>,
}

/// A request, as a policy sees it; owned, since the policy runs on a thread of its own.
struct Seen {
    secret: Option<Arc<Secret>>,
    method: String,
    path: String,
    host: String,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: Option<serde_json::Value>,
}

/// Evaluations at once.
const AT_ONCE: usize = 2;
/// Who gets no turn by then is told to come back.
const TURN_WITHIN: Duration = Duration::from_secs(1);
/// After so many late answers in a row a policy rests.
const MOST_LATE: u32 = 5;
const REST: Duration = Duration::from_secs(30);
/// Classes whose policies are kept read.
const MOST_KEPT: usize = 4096;

impl Default for Generators {
    fn default() -> Self {
        Self {
            read: RwLock::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

// === impl Generators ===

impl Generators {
    /// Whether a policy looks at the body of the request.
    pub fn wants_body(evaluation: &Evaluation<'_>) -> bool {
        ["request.body", "request[\"body\"]"]
            .iter()
            .any(|words| evaluation.policy.contains(words))
    }

    /// What the policy makes of the Secret for this request. `body` is there only where it was asked for.
    ///
    /// # Errors
    /// The answer when it makes nothing that can be sent.
    pub async fn generate(
        &self,
        evaluation: &Evaluation<'_>,
        head: &RequestHeader,
        host: &str,
        body: Option<Bytes>,
    ) -> Result<Injected, Answer> {
        let seen = Seen::new(evaluation, head, host, body);
        let made = self
            .run(evaluation, move |policy| policy.generate(&seen.input()))
            .await?;
        let injected = Injected::try_from(made).map_err(|problem| failed(evaluation.class, problem))?;
        check_body(&injected, head)?;
        Ok(injected)
    }

    /// What this request counts as.
    ///
    /// # Errors
    /// The answer when the policy does not say so: nothing is allowed then.
    pub async fn judge(
        &self,
        evaluation: &Evaluation<'_>,
        head: &RequestHeader,
        host: &str,
        body: Option<Bytes>,
    ) -> Result<Verb, Answer> {
        let seen = Seen::new(evaluation, head, host, body);
        self.run(evaluation, move |policy| policy.verb(&seen.input()))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        evaluation: &Evaluation<'_>,
        ask: impl FnOnce(&Policy) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Answer> {
        let generator = self.get(evaluation);
        if let Err(problem) = &generator.policy {
            return Err(failed(evaluation.class, problem));
        }
        if generator.rests.read().is_some_and(|until| until > Instant::now()) {
            return Err(failed(
                evaluation.class,
                "the policy took too long several times, and rests",
            ));
        }
        let turn = tokio::time::timeout(TURN_WITHIN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(failed(evaluation.class, "too many policies run at once").with_retry_after(1));
        };
        let running = Arc::clone(&generator);
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            match &running.policy {
                Ok(policy) => ask(policy),
                Err(_) => Err(Failure::Undefined),
            }
        });
        let made = made.await.unwrap_or(Err(Failure::Undefined));
        generator.note(made.as_ref().err());
        made.map_err(|failure| failed(evaluation.class, &failure.to_string()))
    }

    fn get(&self, evaluation: &Evaluation<'_>) -> Arc<Generator> {
        let known = |read: &HashMap<String, HashMap<String, Arc<Generator>>>| {
            let known = read.get(evaluation.class)?.get(evaluation.auth)?;
            (known.text == evaluation.policy).then(|| Arc::clone(known))
        };
        if let Some(known) = known(&self.read.read()) {
            return known;
        }
        let made = Arc::new(Generator {
            text: evaluation.policy.to_owned(),
            policy: match evaluation.secret {
                Some(_) => Policy::new(evaluation.policy),
                None => Policy::of_permissions(evaluation.policy),
            },
            late: AtomicU32::new(0),
            rests: RwLock::new(None),
        });
        let mut read = self.read.write();
        if read.len() >= MOST_KEPT {
            read.clear();
        }
        // In place of what it was before the class was edited.
        let of_class = read.entry(evaluation.class.to_owned()).or_default();
        of_class.insert(evaluation.auth.to_owned(), Arc::clone(&made));
        made
    }
}

// === impl Generator ===

impl Generator {
    fn note(&self, failure: Option<&Failure>) {
        if failure != Some(&Failure::TooLong) {
            self.late.store(0, Ordering::Relaxed);
            return;
        }
        if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_LATE {
            self.late.store(0, Ordering::Relaxed);
            *self.rests.write() = Some(Instant::now() + REST);
        }
    }
}

// === impl Seen ===

impl Seen {
    fn new(evaluation: &Evaluation<'_>, head: &RequestHeader, host: &str, body: Option<Bytes>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = head
            .headers
            .iter()
            .filter(|(name, _)| *name != http::header::AUTHORIZATION);
        let query = evaluation.query.into_iter().flat_map(parameters);
        Self {
            secret: evaluation.secret.map(Arc::clone),
            method: evaluation.method.to_owned(),
            path: text(evaluation.path),
            host: host.to_owned(),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                .collect(),
            query: query.map(|(name, value)| (text(&name), text(&value))).collect(),
            body: body.and_then(|body| serde_json::from_slice(&body).ok()),
        }
    }

    fn input(&self) -> Input<'_> {
        Input {
            secret: self.secret.as_deref(),
            method: &self.method,
            path: &self.path,
            host: &self.host,
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            query: self.query.clone(),
            body: self.body.clone(),
        }
    }
}

/// A credential in the body goes into a body of its own kind, and into a request that has one.
fn check_body(injected: &Injected, head: &RequestHeader) -> Result<(), Answer> {
    let Some(body) = &injected.body else { return Ok(()) };
    let wanted = body.media_type();
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_same = kind.is_none_or(|kind| media_type(kind).eq_ignore_ascii_case(wanted.as_bytes()));
    let has_body = matches!(head.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE");
    if is_same && has_body {
        return Ok(());
    }
    let message = format!(
        "the credential of this Connector goes into a body of type {wanted}; send such a body with POST"
    );
    Err(Answer::status(400, reason::CREDENTIAL_UNUSABLE, message))
}

/// Nothing of the Secret, and nothing of the policy.
fn failed(class: &str, problem: &str) -> Answer {
    let message = format!("Internal error occurred: connectorclass '{class}': {problem}");
    Answer::status(500, reason::GENERATOR_FAILED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "package proxy\nauth := {\"position\": \"header\", \"auth\": {\"x-key\": \"k\"}}";

    #[test]
    fn every_auth_type_of_a_class_keeps_its_policy_and_an_edit_replaces_it() {
        let generators = Generators::default();
        let secret = Arc::new(Secret {
            kind: "Opaque".into(),
            data: [].into(),
        });
        let get = |auth: &str, policy: &str| {
            generators.get(&Evaluation {
                class: "c",
                auth,
                policy,
                secret: Some(&secret),
                method: "GET",
                path: b"/",
                query: None,
            })
        };
        let edited = format!("{POLICY}\n");
        let (one, other) = (get("one", POLICY), get("other", &edited));
        assert!(Arc::ptr_eq(&one, &get("one", POLICY)));
        assert!(Arc::ptr_eq(&other, &get("other", &edited)));
        assert!(!Arc::ptr_eq(&one, &get("one", &edited)));
        assert_eq!(generators.read.read()["c"].len(), 2);
    }
}
