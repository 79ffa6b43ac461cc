#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use genkan_policies::{Alias, Aliases, Job, ObjectFacts, Outside, Unreachable, Waiting, World};
use genkan_routing::model::Secret;
use genkan_routing::model::policy::PolicyStep;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use zeroize::Zeroizing;

pub static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// The world outside, as a case says it is.
#[derive(Debug, Default)]
pub struct Around {
    pub now: Duration,
    pub elapsed: Duration,
}

impl Outside for Around {
    fn now(&self) -> Duration {
        self.now
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn fetch_keys<'a>(
        &'a self,
        _: &'a str,
        _: Option<Duration>,
    ) -> Waiting<'a, Result<Arc<[u8]>, Unreachable>> {
        Box::pin(async {
            Err(Unreachable {
                is_timeout: false,
                detail: String::new(),
            })
        })
    }

    fn pause(&self, _: Duration) -> Waiting<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn blocking(&self, job: Job) -> Waiting<'_, Option<bool>> {
        Box::pin(async { Some(job()) })
    }
}

pub fn mk_object<'a>(policies: &'a [PolicyStep], secrets: &'a Aliases) -> ObjectFacts<'a> {
    ObjectFacts {
        kind: "ReverseProxy",
        namespace: "",
        name: "shop",
        labels: &NO_LABELS,
        policies,
        secrets,
    }
}

/// `alias → data`.
pub fn mk_secrets(secrets: &Value) -> Aliases {
    let all = secrets.as_object().into_iter().flatten();
    let mk = |data: &Value| {
        let data = data.as_object().unwrap().iter();
        let data = data.map(|(key, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (key.clone(), Zeroizing::new(value.into_bytes()))
        });
        Alias {
            secret: Arc::new(Secret {
                kind: "Opaque".into(),
                data: data.collect(),
            }),
            key: None,
        }
    };
    all.map(|(alias, data)| (alias.clone(), mk(data))).collect()
}

pub fn mk_world(files: &Value) -> World {
    let mut world = World::default();
    for (path, text) in files.as_object().into_iter().flatten() {
        let text = text.as_str().unwrap().to_owned();
        world.files.insert("ext", path.as_str(), text, false);
    }
    world
}

/// A list of pairs.
pub fn mk_headers(pairs: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for pair in pairs.as_array().into_iter().flatten() {
        let name = HeaderName::from_bytes(pair[0].as_str().unwrap().as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(pair[1].as_str().unwrap()).unwrap());
    }
    headers
}

pub fn mk_steps(steps: &Value) -> Vec<PolicyStep> {
    serde_json::from_value(steps.clone()).unwrap()
}

/// A difference, for people.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {got:?}, and not {wanted:?}"))
    }
}
