//! What the data plane takes for the API server: it knows the tokens of the case that runs, decides as the case says, and
//! remembers what it was asked.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::case::{Case, text};
use super::wire::{Broken, Reader, values};

pub struct Reviewer {
    address: SocketAddr,
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared: Arc<Mutex<State>> = Arc::default();
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { address, shared }
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join("reviewer.kubeconfig");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "r",
            "contexts": [{ "name": "r", "context": { "cluster": "r", "user": "r" } }],
            "clusters": [{ "name": "r", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "r", "user": { "token": "own" } }],
        });
        std::fs::write(&path, text.to_string()).unwrap();
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

fn serve(stream: TcpStream, state: &Mutex<State>) -> Result<(), Broken> {
    let mut reader = Reader::new(stream);
    loop {
        let line = reader.line()?;
        let headers = reader.headers()?;
        let length = values(&headers, "content-length")
            .next()
            .and_then(|length| length.parse().ok());
        let body: Value = serde_json::from_slice(&reader.exactly(length.unwrap_or(0))?).unwrap_or_default();
        let spec = &body["spec"];
        let status = match line.contains("/tokenreviews") {
            true => state.lock().token(&text(&spec["token"])),
            false => state.lock().access(spec),
        };
        let answer =
            json!({ "apiVersion": body["apiVersion"], "kind": body["kind"], "status": status }).to_string();
        let head = format!(
            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        let sent = reader.stream.write_all((head + &answer).as_bytes());
        sent.map_err(|_| Broken::Ended)?;
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
