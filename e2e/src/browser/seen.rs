//! What a page asked for, and what it complained of.

use serde_json::Value;

#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Errors on its console, uncaught exceptions, and what could not be loaded.
    pub errors: Vec<String>,
    pub asked: Vec<Asked>,
}

/// A request or a WebSocket.
#[derive(Debug, Clone)]
pub struct Asked {
    id: String,
    pub url: String,
    pub status: Option<u64>,
    pub failed: Option<String>,
    /// Where the answer sent the browser instead.
    pub led_to: Option<String>,
}

// === impl Seen ===

impl Seen {
    pub(super) fn take(&mut self, event: &str, told: &Value) {
        match event {
            "Log.entryAdded" if told["entry"]["level"] == "error" => {
                let entry = &told["entry"];
                self.complain(&format!("{} {}", text(&entry["text"]), text(&entry["url"])));
            }
            "Runtime.exceptionThrown" => self.complain(&exception(&told["exceptionDetails"])),
            "Runtime.consoleAPICalled" if told["type"] == "error" => {
                let said = told["args"].as_array().into_iter().flatten();
                let said: Vec<_> = said.map(argument).collect();
                self.complain(&said.join(" "));
            }
            "Network.requestWillBeSent" => {
                let (id, url) = (&told["requestId"], &told["request"]["url"]);
                if let Some(status) = told["redirectResponse"]["status"].as_u64()
                    && let Some(asked) = self.asked(id)
                {
                    asked.status = Some(status);
                    asked.led_to = Some(text(url).to_owned());
                }
                self.ask(id, url);
            }
            "Network.webSocketCreated" => self.ask(&told["requestId"], &told["url"]),
            "Network.responseReceived" | "Network.webSocketHandshakeResponseReceived" => {
                if let Some(asked) = self.asked(&told["requestId"]) {
                    asked.status = told["response"]["status"].as_u64();
                }
            }
            "Network.loadingFailed" => {
                if let Some(asked) = self.asked(&told["requestId"]) {
                    asked.failed = Some(text(&told["errorText"]).to_owned());
                }
            }
            "Network.webSocketFrameError" => {
                if let Some(asked) = self.asked(&told["requestId"]) {
                    asked.failed = Some(text(&told["errorMessage"]).to_owned());
                }
            }
            _ => {}
        }
    }

    fn complain(&mut self, what: &str) {
        self.errors.push(what.trim().chars().take(300).collect());
    }

    fn ask(&mut self, id: &Value, url: &Value) {
        self.asked.push(Asked {
            id: text(id).to_owned(),
            url: text(url).to_owned(),
            status: None,
            failed: None,
            led_to: None,
        });
    }

    /// The last of those that share the id, which redirects do.
    fn asked(&mut self, id: &Value) -> Option<&mut Asked> {
        let id = text(id);
        self.asked.iter_mut().rev().find(|asked| asked.id == id)
    }
}

/// What an exception says of itself.
pub(super) fn exception(details: &Value) -> String {
    let thrown = text(&details["exception"]["description"]);
    format!("{} {thrown}", text(&details["text"]))
}

fn argument(argument: &Value) -> String {
    match &argument["value"] {
        Value::String(text) => text.clone(),
        Value::Null => text(&argument["description"]).to_owned(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
