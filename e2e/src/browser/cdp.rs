//! The DevTools protocol on two pipes: messages are JSON, and end with a zero byte.

use std::collections::HashMap;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::seen::Seen;

/// The browser answers each call at once; what takes time is waited for by asking again.
const ANSWER: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Cdp {
    input: tokio::sync::Mutex<tokio::process::ChildStdin>,
    next: AtomicU64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Result<Value>>>,
    /// By session.
    seen: HashMap<String, Seen>,
}

// === impl Cdp ===

impl Cdp {
    pub(super) fn open(input: ChildStdin, output: ChildStdout) -> Result<Arc<Self>> {
        let state = Arc::new(Mutex::new(State::default()));
        let output = tokio::process::ChildStdout::from_std(output)?;
        tokio::spawn(read(output, state.clone()));
        Ok(Arc::new(Self {
            input: tokio::process::ChildStdin::from_std(input)?.into(),
            next: AtomicU64::new(1),
            state,
        }))
    }

    /// Keeps what the page of this session does from now on.
    pub(super) fn record(&self, session: &str) {
        self.state.lock().seen.insert(session.to_owned(), Seen::default());
    }

    pub(super) fn seen(&self, session: &str) -> Seen {
        self.state.lock().seen.get(session).cloned().unwrap_or_default()
    }

    pub(super) async fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (answered, answer) = oneshot::channel();
        self.state.lock().waiting.insert(id, answered);
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.input
            .lock()
            .await
            .write_all(&bytes)
            .await
            .context("the browser has ended")?;
        match timeout(ANSWER, answer).await {
            Ok(Ok(answer)) => answer.with_context(|| method.to_owned()),
            Ok(Err(_)) => bail!("{method}: the browser has ended"),
            Err(_) => bail!("{method}: no answer within {ANSWER:?}"),
        }
    }
}

/// Until the browser ends; then nobody waits any longer.
async fn read(output: tokio::process::ChildStdout, state: Arc<Mutex<State>>) {
    let mut output = BufReader::new(output);
    let mut message = Vec::new();
    while matches!(output.read_until(0, &mut message).await, Ok(length) if length > 0) {
        message.pop();
        if let Ok(message) = serde_json::from_slice(&message) {
            state.lock().take(message);
        }
        message.clear();
    }
    state.lock().waiting.clear();
}

// === impl State ===

impl State {
    fn take(&mut self, mut message: Value) {
        if let Some(waiting) = message["id"].as_u64().and_then(|id| self.waiting.remove(&id)) {
            let answer = match message.get("error") {
                Some(error) => Err(anyhow!("{error}")),
                None => Ok(message["result"].take()),
            };
            // Who asked may have given up.
            let _ = waiting.send(answer);
        } else if let Some(method) = message["method"].as_str()
            && let Some(seen) = message["sessionId"].as_str().and_then(|id| self.seen.get_mut(id))
        {
            seen.take(method, &message["params"]);
        }
    }
}
