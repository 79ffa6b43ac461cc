//! Steps that take too long, and what may be skipped because of it.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be made fails the test")]

#[path = "vectors/mk.rs"]
mod mk;
#[path = "plans/setup.rs"]
mod setup;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use genkan_policies::{Job, Outside, Unreachable, Waiting};
use serde_json::{Value, json};

use setup::{Setup, header};

/// Nobody answers, and each look at the clock takes some time.
#[derive(Default)]
struct Slow {
    millis: AtomicU64,
    each: u64,
}

impl Slow {
    fn new(each: u64) -> Self {
        Self {
            millis: AtomicU64::new(0),
            each,
        }
    }
}

impl Outside for Slow {
    fn now(&self) -> Duration {
        Duration::from_secs(1000)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.millis.fetch_add(self.each, Ordering::Relaxed))
    }

    fn fetch_keys<'a>(
        &'a self,
        _: &'a str,
        _: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>> {
        Box::pin(std::future::pending())
    }

    fn pause(&self, length: Duration) -> Waiting<'_, ()> {
        Box::pin(async move {
            let millis = u64::try_from(length.as_millis()).unwrap();
            self.millis.fetch_add(millis, Ordering::Relaxed);
        })
    }

    fn blocking(&self, _: Job) -> Waiting<'_, Option<bool>> {
        Box::pin(std::future::pending())
    }
}

const BEARER: &str = "Bearer eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.e30.AAAA";

fn jwt(more: Value) -> Value {
    let mut step = json!({"use": "jwt", "with": {"keys": {"url": "https://idp.example/jwks"}}});
    step.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    step
}

fn sent(policies: Value, definition: Option<Value>, each: u64) -> (Option<(u16, String)>, Option<String>) {
    let setup = Setup::new(policies);
    let setup = match definition {
        Some(definition) => setup.define(definition),
        None => setup,
    };
    let plan = setup.link().unwrap();
    let done = setup.send_at(&plan, &[("authorization", BEARER)], &Slow::new(each));
    let answer = done
        .answer
        .map(|answer| (answer.status, answer.reason.to_string()));
    (answer, header(&done.headers, "x-seen").map(str::to_owned))
}

fn set(more: Value) -> Value {
    let mut step = json!({"use": "set", "with": {"headers": {"set": {"x-seen": "yes"}}}});
    step.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    step
}

#[test]
fn a_step_that_waits_for_others_is_left_after_its_timeout() {
    let answer = |status: u16, reason: &str| Some((status, reason.to_owned()));
    let late = jwt(json!({"timeout": "2s"}));
    assert_eq!(sent(json!([late]), None, 0).0, answer(504, "CallTimeout"));
    // What protects is not skipped.
    let late = jwt(json!({"timeout": "2s", "onError": "Continue"}));
    assert_eq!(sent(json!([late]), None, 0).0, answer(504, "CallTimeout"));
}

#[test]
fn a_step_that_comes_too_late_has_failed() {
    let (answer, _) = sent(json!([set(json!({"timeout": "5ms"}))]), None, 10);
    assert_eq!(answer, Some((500, "PolicyTimeout".to_owned())));
    let (answer, seen) = sent(
        json!([set(json!({"timeout": "5ms", "onError": "Continue"}))]),
        None,
        10,
    );
    assert_eq!((answer, seen.as_deref()), (None, Some("yes")));
    let (answer, seen) = sent(json!([set(json!({"timeout": "50ms"}))]), None, 10);
    assert_eq!((answer, seen.as_deref()), (None, Some("yes")));
}

#[test]
fn the_time_of_a_definition_is_that_of_all_its_steps() {
    let slow = json!({"policy": "slow", "version": "1.0.0", "steps": [set(json!({})), set(json!({}))]});
    let uses = |more: Value| {
        let mut step = json!({"use": "slow"});
        step.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([step])
    };
    let (answer, _) = sent(uses(json!({"timeout": "15ms"})), Some(slow.clone()), 10);
    assert_eq!(answer, Some((500, "PolicyTimeout".to_owned())));
    let (answer, _) = sent(
        uses(json!({"timeout": "15ms", "onError": "Continue"})),
        Some(slow.clone()),
        10,
    );
    assert_eq!(answer, None);
    let (answer, _) = sent(uses(json!({"timeout": "1s"})), Some(slow), 10);
    assert_eq!(answer, None);
}

/// It is run when its definition is left in the middle, and when that comes too late.
#[test]
fn the_end_is_run_however_late_it_is() {
    let ends = |steps: Value| {
        let end = set(json!({"with": {"headers": {"set": {"x-seen": "{{ params.by }}"}}}}));
        json!({
            "policy": "ends", "version": "1.0.0",
            "parameters": {"type": "object", "properties": {"by": {"type": "string", "default": "end"}}},
            "steps": steps, "finally": [end],
        })
    };
    let uses = json!([{"use": "ends", "timeout": "2s"}]);
    let (answer, seen) = sent(uses.clone(), Some(ends(json!([jwt(json!({}))]))), 0);
    assert_eq!(answer, Some((500, "PolicyTimeout".to_owned())));
    assert_eq!(seen.as_deref(), Some("end"));
    let (answer, seen) = sent(uses, Some(ends(json!([set(json!({})), set(json!({}))]))), 600);
    assert_eq!(answer, Some((500, "PolicyTimeout".to_owned())));
    assert_eq!(seen.as_deref(), Some("end"));
}

/// Whoever uses a policy cannot get around what protects in it.
#[test]
fn what_protects_is_not_skipped_with_the_policy_around_it() {
    let protects = |first: Value| {
        json!({
            "policy": "guard", "version": "1.0.0",
            "parameters": {"type": "object", "properties": {"of": {"type": "string"}}},
            "steps": [first, {"use": "authorize", "with": {"cel": "false"}}],
        })
    };
    let refused = |uses: Value| {
        let (answer, _) = sent(json!([uses]), Some(protects(set(json!({})))), 10);
        assert!(answer.is_some(), "{uses}");
    };
    refused(json!({"use": "guard", "onError": "Continue", "timeout": "1ms"}));
    // Parameters that have no value.
    refused(json!({
        "use": "guard", "onError": "Continue", "with": {"of": "{{ request.headers['x-absent'] }}"},
    }));
    refused(json!({
        "use": "switch", "onError": "Continue",
        "with": {"cases": [{
            "when": "request.headers['x-absent'] == 'a'",
            "steps": [{"use": "authorize", "with": {"cel": "false"}}],
        }]},
    }));
}

#[test]
fn no_time_at_all_is_refused() {
    let problem = Setup::new(json!([set(json!({"timeout": "0s"}))]))
        .link()
        .unwrap_err();
    assert!(
        problem.message.contains("timeout: no step is ready at once"),
        "{}",
        problem.message
    );
}
