#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use genkan_policies::{
    Aliases, Caller, EntryFacts, Exchange, Limiters, NamedHook, NamedOverride, Outcome, Outside, Plan,
    PolicyAnswer, Problem, Request, Source, Stage, State, World, link,
};
use genkan_routing::model::policy::{FailurePolicy, PolicyDefinition, PolicyStep};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::mk::{Around, mk_object, mk_secrets, mk_steps};

/// An object and the world around it.
pub struct Setup {
    policies: Vec<PolicyStep>,
    pub secrets: Aliases,
    pub world: World,
    pub limiters: Arc<Limiters>,
    pub groups: Vec<String>,
}

/// What became of a message.
pub struct Done {
    pub headers: HeaderMap,
    pub state: State,
    pub answer: Option<Box<PolicyAnswer>>,
}

pub fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

fn mk_headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    pairs.collect()
}

impl Setup {
    pub fn new(policies: Value) -> Self {
        Self {
            policies: mk_steps(&policies),
            secrets: Aliases::new(),
            world: World::default(),
            limiters: Arc::default(),
            groups: Vec::new(),
        }
    }

    /// The same world, and the same limiters.
    pub fn with_policies(&self, policies: Value) -> Self {
        Self {
            policies: mk_steps(&policies),
            secrets: self.secrets.clone(),
            world: World {
                definitions: self.world.definitions.clone(),
                files: self.world.files.clone(),
                secrets: self.world.secrets.clone(),
                ..World::default()
            },
            limiters: Arc::clone(&self.limiters),
            groups: Vec::new(),
        }
    }

    pub fn with_secrets(mut self, secrets: Value) -> Self {
        self.secrets = mk_secrets(&secrets);
        self
    }

    pub fn define(mut self, definition: Value) -> Self {
        let definition: PolicyDefinition = serde_json::from_value(definition).unwrap();
        let name = definition.policy.clone();
        self.world
            .definitions
            .entry(name)
            .or_default()
            .push(Arc::new(definition));
        self
    }

    pub fn hook(mut self, entry: &str, hook: Value) -> Self {
        self.world.hooks.push(NamedHook {
            extension: "ext".into(),
            entry: entry.into(),
            hook: Arc::new(serde_json::from_value(hook).unwrap()),
            facts: EntryFacts::default(),
        });
        self
    }

    pub fn settings(mut self, entry: &str, order: i32, settings: Value) -> Self {
        self.world.overrides.push(NamedOverride {
            extension: "ext".into(),
            entry: entry.into(),
            order,
            settings: Arc::new(serde_json::from_value(settings).unwrap()),
        });
        self
    }

    /// JSON.
    pub fn post(&self, body: &'static str) -> Done {
        self.post_as(HeaderValue::from_static("application/json"), body)
    }

    pub fn post_as(&self, kind: HeaderValue, body: &'static str) -> Done {
        let plan = self.link().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind);
        let mut state = State::default();
        let stage = Stage::Request(&mut headers);
        let mut exchange = Exchange::new(self.request("POST", ""), stage, &mut state).with_body(body.into());
        let outcome = block_on(plan.after_review.run(&mut exchange, &Around::default()));
        let answer = match outcome {
            Outcome::Forward => None,
            Outcome::Answer(answer) => Some(answer),
        };
        Done {
            headers,
            state,
            answer,
        }
    }

    pub fn fail(mut self, policy: FailurePolicy) -> Self {
        for hook in &mut self.world.hooks {
            hook.facts.failure_policy = policy;
        }
        self
    }

    pub fn allow_fail_open(mut self, name: &str) -> Self {
        self.world.allow_fail_open.insert(name.into());
        self
    }

    pub fn link(&self) -> Result<Plan, Problem> {
        link(
            &mk_object(&self.policies, &self.secrets),
            &self.world,
            &self.limiters,
        )
    }

    fn request<'r>(&'r self, method: &'r str, query: &'r str) -> Request<'r> {
        Request {
            id: "1-2",
            method,
            scheme: "https",
            host: "gw.test",
            path: "/proxy/shop/items",
            query,
            route: "shop",
            source: Source::default(),
            caller: Caller {
                user: "ann",
                groups: &self.groups,
                ..Caller::default()
            },
        }
    }

    pub fn send(&self, method: &str, headers: &[(&str, &str)]) -> Done {
        self.send_to(&self.link().unwrap(), method, headers)
    }

    pub fn get(&self, query: &str) -> Done {
        let plan = self.link().unwrap();
        self.run(&plan, self.request("GET", query), &[], &Around::default())
    }

    pub fn send_to(&self, plan: &Plan, method: &str, headers: &[(&str, &str)]) -> Done {
        self.run(plan, self.request(method, ""), headers, &Around::default())
    }

    pub fn send_at(&self, plan: &Plan, headers: &[(&str, &str)], outside: &dyn Outside) -> Done {
        self.run(plan, self.request("GET", ""), headers, outside)
    }

    fn run(
        &self,
        plan: &Plan,
        request: Request<'_>,
        headers: &[(&str, &str)],
        outside: &dyn Outside,
    ) -> Done {
        let mut headers = mk_headers(headers);
        let mut state = State::default();
        let mut exchange = Exchange::new(request, Stage::Request(&mut headers), &mut state);
        let outcome = block_on(plan.after_review.run(&mut exchange, outside));
        Done {
            headers,
            state,
            answer: match outcome {
                Outcome::Forward => None,
                Outcome::Answer(answer) => Some(answer),
            },
        }
    }

    /// The steps for an answer.
    pub fn answer(&self, status: u16, headers: &[(&str, &str)]) -> (Done, u16) {
        let plan = self.link().unwrap();
        let (request_headers, mut headers, mut status) = (HeaderMap::new(), mk_headers(headers), status);
        let mut state = State::default();
        let stage = Stage::Response {
            request: &request_headers,
            status: &mut status,
            headers: &mut headers,
        };
        let mut exchange = Exchange::new(self.request("GET", ""), stage, &mut state);
        let outcome = block_on(plan.response.run(&mut exchange, &Around::default()));
        let done = Done {
            headers,
            state,
            answer: match outcome {
                Outcome::Forward => None,
                Outcome::Answer(answer) => Some(answer),
            },
        };
        (done, status)
    }
}

/// Seconds.
pub fn at(now: u64) -> Around {
    Around {
        now: Duration::from_secs(now),
        elapsed: Duration::from_secs(now),
    }
}
