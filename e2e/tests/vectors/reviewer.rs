//! What the data plane takes for the API server: it knows the tokens of the case that runs, decides as the case says, and
//! remembers what it was asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use genkan_kit::reviewer::{self, About, Verdict};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::case::{Case, text};

pub struct Reviewer {
    server: reviewer::Reviewer,
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    identity: Value,
    authorization: Value,
    /// Behind every token and user of the case, so that no decision about one case answers another.
    mark: String,
    reviews: Vec<Value>,
}

/// Of the worlds' own markers, which everybody may see.
pub const MARKER: &str = "/proxy-world-";

// === impl Reviewer ===

impl Reviewer {
    pub fn start() -> Self {
        let shared: Arc<Mutex<State>> = Arc::default();
        let state = Arc::clone(&shared);
        let server = reviewer::Reviewer::start(move |review| {
            let mut state = state.lock();
            Verdict::Status(match review.about {
                About::Token => state.token(&text(&review.spec["token"])),
                About::Access => state.access(&review.spec),
            })
        });
        Self { server, shared }
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join("reviewer.kubeconfig");
        std::fs::write(&path, self.server.kubeconfig()).unwrap();
        path
    }

    pub fn begin(&self, case: &Case, mark: &str) {
        let mut state = self.shared.lock();
        state.identity = case.json["identity"].clone();
        state.authorization = case.json["config"]["authorization"].clone();
        mark.clone_into(&mut state.mark);
        state.reviews.clear();
    }

    /// What it says about a token.
    pub fn token(&self, token: &str) -> Value {
        self.shared.lock().token(token)
    }

    /// Whether it allows the access to this path, or to a resource, perhaps with a subresource, where there is none.
    pub fn allows(&self, path: &str, subresource: &str) -> bool {
        self.shared.lock().allows(path, subresource)
    }

    pub fn forget(&self) {
        self.shared.lock().reviews.clear();
    }

    /// The access reviews since the last look at them.
    pub fn taken(&self) -> Vec<Value> {
        std::mem::take(&mut self.shared.lock().reviews)
    }
}

// === impl State ===

impl State {
    fn token(&self, token: &str) -> Value {
        let name = token
            .strip_suffix(&self.mark)
            .and_then(|token| token.strip_prefix("tok-"));
        let Some(name) = name else {
            return json!({ "authenticated": false, "error": "unknown token" });
        };
        let mut groups = self.identity["extraGroups"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        groups.push(json!("system:authenticated"));
        let mut user = json!({ "username": format!("{name}{}", self.mark), "groups": groups });
        for member in ["uid", "extra"] {
            if !self.identity[member].is_null() {
                user[member] = self.identity[member].clone();
            }
        }
        json!({ "authenticated": true, "user": user })
    }

    fn access(&mut self, spec: &Value) -> Value {
        let path = text(&spec["nonResourceAttributes"]["path"]);
        if path.starts_with(MARKER) {
            return json!({ "allowed": true });
        }
        self.reviews.push(canonical(spec));
        let subresource = text(&spec["resourceAttributes"]["subresource"]);
        json!({ "allowed": self.allows(&path, &subresource), "reason": "as the case says" })
    }

    fn allows(&self, path: &str, subresource: &str) -> bool {
        if self.authorization == "no subresources" {
            return subresource.is_empty();
        }
        match self.authorization["allowPaths"].as_array() {
            Some(paths) => !path.is_empty() && paths.contains(&json!(path)),
            None => self.authorization != "deny",
        }
    }
}

/// As cases write it: without what they do not compare.
fn canonical(spec: &Value) -> Value {
    let mut out = Map::new();
    for member in ["user", "groups", "resourceAttributes", "nonResourceAttributes"] {
        if !spec[member].is_null() {
            out.insert(member.to_owned(), spec[member].clone());
        }
    }
    Value::Object(out)
}

/// What differs between the reviews that a case expects and those that were sent.
pub fn compare(case: &Case, mark: &str, taken: &[Value]) -> Vec<String> {
    let expect = case.expect();
    if expect.get("review").is_none() {
        return Vec::new();
    }
    let expected: Vec<&Value> = [&expect["review"], &expect["secondReview"]]
        .into_iter()
        .filter(|review| !review.is_null())
        .collect();
    let unmarked = |review: &Value| {
        let mut review = review.clone();
        review["user"] = json!(text(&review["user"]).replace(mark, ""));
        review
    };
    let taken: Vec<Value> = taken.iter().map(unmarked).collect();
    if taken.iter().collect::<Vec<_>>() == expected {
        return Vec::new();
    }
    vec![format!(
        "the reviews are {}, expected {}",
        json!(taken),
        json!(expected)
    )]
}
