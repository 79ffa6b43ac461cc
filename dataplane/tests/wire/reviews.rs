//! An API server that knows a few tokens and rules, counts what it is asked, and fails on demand.

#![allow(dead_code, clippy::unwrap_used, missing_debug_implementations)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub struct ApiServer {
    pub address: SocketAddr,
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

struct State {
    users: HashMap<String, Value>,
    /// As RBAC compares them: equal, or a beginning with a star.
    allowed: Vec<String>,
    /// Instead of a status.
    fault: Option<Fault>,
    /// In every answer to a TokenReview.
    audiences: Option<Vec<String>>,
    tokens: Vec<Value>,
    questions: Vec<Value>,
    heads: Vec<String>,
}

/// What it does instead of answering well.
#[derive(Clone)]
pub enum Fault {
    /// Closes the connection.
    Breaks,
    /// Keeps the connection and says nothing.
    Silent,
    Code(u16),
    /// This status.
    Says(Value),
}

// === impl ApiServer ===

impl ApiServer {
    /// Knows `tok-jane` and `tok-joe`; everything is allowed.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            users: ["jane", "joe"]
                .map(|name| (format!("tok-{name}"), mk_user(name)))
                .into(),
            allowed: vec!["*".to_owned()],
            fault: None,
            audiences: None,
            tokens: Vec::new(),
            questions: Vec::new(),
            heads: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "current-context": "c",
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{address}") } }],
            "users": [{ "name": "u", "user": { "token": "own-token" } }],
        });
        std::fs::write(folder.path().join("config"), kubeconfig.to_string()).unwrap();
        Self {
            address,
            folder,
            state,
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

    pub fn fail(&self, fault: impl Into<Option<Fault>>) {
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

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if !matches!(stream.read_line(&mut head).await, Ok(1..)) {
                return;
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let is_silent = matches!(state.lock().fault, Some(Fault::Silent));
        if is_silent {
            return std::future::pending().await;
        }
        let Some((code, answer)) = state.lock().answer(head, &body["spec"]) else {
            return;
        };
        let head = format!(
            "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        if stream.write_all((head + &answer).as_bytes()).await.is_err() {
            return;
        }
    }
}

// === impl State ===

impl State {
    fn answer(&mut self, head: String, spec: &Value) -> Option<(u16, String)> {
        let is_token = head.contains("/apis/authentication.k8s.io/v1/tokenreviews ");
        assert!(is_token || head.contains("/apis/authorization.k8s.io/v1/subjectaccessreviews "));
        self.heads.push(head);
        let status = if is_token {
            self.tokens.push(spec.clone());
            self.token(spec)
        } else {
            self.questions.push(spec.clone());
            json!({ "allowed": self.allows(spec) })
        };
        match &self.fault {
            None => Some((201, json!({ "status": status }).to_string())),
            Some(Fault::Breaks | Fault::Silent) => None,
            Some(Fault::Code(code)) => Some((*code, "{}".to_owned())),
            Some(Fault::Says(status)) => Some((201, json!({ "status": status }).to_string())),
        }
    }

    fn token(&self, spec: &Value) -> Value {
        let user = spec["token"].as_str().and_then(|token| self.users.get(token));
        match user {
            Some(user) => json!({ "authenticated": true, "user": user, "audiences": self.audiences }),
            None => json!({ "authenticated": false, "error": "invalid bearer token" }),
        }
    }

    fn allows(&self, spec: &Value) -> bool {
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
