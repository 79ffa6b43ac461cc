//! An API server that knows a few tokens and rules, counts what it is asked, and fails on demand.

#![allow(dead_code, unused_imports, clippy::unwrap_used, missing_debug_implementations)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

pub use genkan_kit::reviewer::Verdict;
use genkan_kit::reviewer::{About, Review, Reviewer};
use parking_lot::Mutex;
use serde_json::{Value, json};

pub struct ApiServer {
    pub address: SocketAddr,
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    _reviewer: Reviewer,
}

struct State {
    users: HashMap<String, Value>,
    /// As RBAC compares them: equal, or a beginning with a star.
    allowed: Vec<String>,
    refuses_anonymous: bool,
    /// What it does instead of answering well.
    fault: Option<Verdict>,
    /// In every answer to a TokenReview.
    audiences: Option<Vec<String>>,
    tokens: Vec<Value>,
    questions: Vec<Value>,
    heads: Vec<String>,
}

// === impl ApiServer ===

impl ApiServer {
    /// Knows `tok-jane` and `tok-joe`; everything is allowed.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            users: ["jane", "joe"]
                .map(|name| (format!("tok-{name}"), mk_user(name)))
                .into(),
            allowed: vec!["*".to_owned()],
            refuses_anonymous: false,
            fault: None,
            audiences: None,
            tokens: Vec::new(),
            questions: Vec::new(),
            heads: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let reviewer = Reviewer::start(move |review| shared.lock().judge(review));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), reviewer.kubeconfig()).unwrap();
        Self {
            address: reviewer.address,
            folder,
            state,
            _reviewer: reviewer,
        }
    }

    pub fn kubeconfig(&self) -> String {
        self.folder.path().join("config").display().to_string()
    }

    /// The flags of a data plane that asks here, and these.
    pub fn flags<'f>(kubeconfig: &'f str, more: &[&'f str]) -> Vec<&'f str> {
        [
            &["--authentication", "kubernetes", "--kubeconfig", kubeconfig],
            more,
        ]
        .concat()
    }

    pub fn know(&self, token: &str, user: Value) {
        self.state.lock().users.insert(token.to_owned(), user);
    }

    pub fn allow(&self, paths: &[&str]) {
        self.state.lock().allowed = paths.iter().map(|path| (*path).to_owned()).collect();
    }

    /// Whoever has no name may nothing.
    pub fn refuse_anonymous(&self) {
        self.state.lock().refuses_anonymous = true;
    }

    pub fn fail(&self, fault: impl Into<Option<Verdict>>) {
        self.state.lock().fault = fault.into();
    }

    pub fn answer_for(&self, audiences: &[&str]) {
        let audiences = audiences.iter().map(|name| (*name).to_owned()).collect();
        self.state.lock().audiences = Some(audiences);
    }

    /// The tokens that it was asked about.
    pub fn tokens(&self) -> Vec<Value> {
        self.state.lock().tokens.clone()
    }

    /// The access reviews, without what is the same in all of them.
    pub fn questions(&self) -> Vec<Value> {
        self.state.lock().questions.clone()
    }

    /// The paths that were asked about.
    pub fn paths(&self) -> Vec<String> {
        let path = |spec: &Value| spec["nonResourceAttributes"]["path"].as_str().map(str::to_owned);
        self.questions().iter().filter_map(path).collect()
    }

    pub fn heads(&self) -> String {
        self.state.lock().heads.concat()
    }
}

pub fn mk_user(name: &str) -> Value {
    json!({ "username": name, "uid": format!("uid-{name}"), "groups": ["staff", "system:authenticated"] })
}

// === impl State ===

impl State {
    fn judge(&mut self, review: Review) -> Verdict {
        let Review {
            about, head, spec, ..
        } = review;
        self.heads.push(head);
        let status = match about {
            About::Token => {
                self.tokens.push(spec.clone());
                self.token(&spec)
            }
            About::Access => {
                self.questions.push(spec.clone());
                json!({ "allowed": self.allows(&spec) })
            }
        };
        self.fault.clone().unwrap_or(Verdict::Status(status))
    }

    fn token(&self, spec: &Value) -> Value {
        let user = spec["token"].as_str().and_then(|token| self.users.get(token));
        match user {
            Some(user) => json!({ "authenticated": true, "user": user, "audiences": self.audiences }),
            None => json!({ "authenticated": false, "error": "invalid bearer token" }),
        }
    }

    fn allows(&self, spec: &Value) -> bool {
        if self.refuses_anonymous && spec["user"] == "system:anonymous" {
            return false;
        }
        let path = spec["nonResourceAttributes"]["path"].as_str();
        let subresource = spec["resourceAttributes"]["subresource"].as_str();
        let path = match (path, subresource) {
            (Some(path), _) => path,
            (None, None) => "resource",
            (None, Some(_)) => "subresource",
        };
        self.allowed.iter().any(|rule| match rule.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == rule,
        })
    }
}
