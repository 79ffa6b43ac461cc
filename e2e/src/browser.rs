//! A headless Chromium, driven as a person would: pages are opened, clicked and typed into, and what they asked for and
//! complained of is kept.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::process::{Launch, Process};
use crate::wait;

mod cdp;
mod seen;

use cdp::Cdp;
pub use seen::{Asked, Seen};

/// Names of the programs, the first that runs is taken.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// What looks for elements, also in shadow trees and frames.
const FIND: &str = include_str!("browser/find.js");
/// As a modifier of keys.
const CONTROL: u8 = 2;
/// The protocol is spoken on the third and fourth descriptor, which have to be there before the program is.
const DESCRIPTORS: &str = "exec 3<&0 4>&1 0</dev/null 1>&2; exec \"$@\"";

/// A browser that is running.
#[derive(Debug)]
pub struct Browser {
    cdp: Arc<Cdp>,
    process: Process,
}

/// One page with cookies and storage of its own.
#[derive(Debug)]
pub struct Page {
    cdp: Arc<Cdp>,
    context: String,
    session: String,
    patience: Duration,
}

/// The name of the browser of this machine.
pub fn find() -> Option<&'static str> {
    let runs = |program: &&str| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    PROGRAMS.into_iter().find(runs)
}

// === impl Browser ===

impl Browser {
    /// With a profile of its own in the folder.
    pub fn start(program: &str, folder: &Path) -> Result<Self> {
        Self::start_with(program, folder, &[])
    }

    /// The same with these further arguments.
    pub fn start_with(program: &str, folder: &Path, arguments: &[&str]) -> Result<Self> {
        let profile = folder.join("profile").display().to_string();
        let (process, input, output) = Launch::new("browser", "sh")
            .args(["-c", DESCRIPTORS, "sh", program])
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
                "--window-size=1400,1000",
            ])
            .args(arguments.iter().copied())
            .arg(format!("--user-data-dir={profile}"))
            .start_talking(folder)?;
        let cdp = Cdp::open(input, output)?;
        Ok(Self { cdp, process })
    }

    /// An empty page, which waits so long for what it is asked to wait for.
    pub async fn page(&self, patience: Duration) -> Result<Page> {
        let text = |answer: &Value, name: &str| -> Result<String> {
            let value = answer[name].as_str().map(ToOwned::to_owned);
            value.with_context(|| format!("no {name} in {answer}"))
        };
        let made = self
            .cdp
            .call(None, "Target.createBrowserContext", json!({}))
            .await
            .with_context(|| self.process.tail(10))?;
        let context = text(&made, "browserContextId")?;
        let wanted =
            json!({"url": "about:blank", "browserContextId": context, "width": 1400, "height": 1000});
        let made = self.cdp.call(None, "Target.createTarget", wanted).await?;
        let wanted = json!({"targetId": text(&made, "targetId")?, "flatten": true});
        let made = self.cdp.call(None, "Target.attachToTarget", wanted).await?;
        let page = Page {
            cdp: self.cdp.clone(),
            context,
            session: text(&made, "sessionId")?,
            patience,
        };
        self.cdp.record(&page.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({})).await?;
        }
        Ok(page)
    }
}

// === impl Page ===

impl Page {
    pub async fn navigate(&self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({ "url": url })).await?;
        match answer["errorText"].as_str() {
            Some(why) if !why.is_empty() => bail!("{url}: {why}"),
            _ => Ok(()),
        }
    }

    /// The value of an expression, in which `find(selector, text)` is the first element that is seen, and `said()` what the
    /// page says.
    pub async fn evaluate(&self, expression: &str) -> Result<Value> {
        let wanted = json!({
            "expression": format!("(async () => {{ {FIND}; return ({expression}); }})()"),
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let mut answer = self.call("Runtime.evaluate", wanted).await?;
        match answer.get("exceptionDetails") {
            Some(why) => bail!("{expression}: {}", seen::exception(why)),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until an expression is neither null nor false, and gives what it then is.
    pub async fn wait(&self, expression: &str) -> Result<Value> {
        let waited = wait::until(expression, self.patience, || async {
            let value = self.evaluate(expression).await?;
            Ok(Some(value).filter(|value| !matches!(value, Value::Null | Value::Bool(false))))
        });
        match waited.await {
            Ok(value) => Ok(value),
            Err(error) => Err(anyhow!("{error:#}; {}", self.shown().await)),
        }
    }

    /// Waits until the page shows an element, which says this text.
    pub async fn wait_for(&self, selector: &str, text: &str) -> Result<()> {
        self.wait(&format!("find({}, {}) !== null", quoted(selector), quoted(text)))
            .await
            .map(drop)
    }

    /// Waits until the page says this, wherever it does.
    pub async fn wait_said(&self, text: &str) -> Result<()> {
        self.wait(&format!("said().includes({})", quoted(text)))
            .await
            .map(drop)
    }

    /// With the mouse, in the middle of the first such element that says this text, once it is there and nothing covers it.
    pub async fn click(&self, selector: &str, text: &str) -> Result<()> {
        let at = self
            .wait(&format!("await place({}, {})", quoted(selector), quoted(text)))
            .await?;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({"type": kind, "x": at["x"], "y": at["y"], "button": button, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// In place of what stands in a field.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        self.click(selector, "").await?;
        self.press("a", 65, json!({"modifiers": CONTROL, "commands": ["selectAll"]}))
            .await?;
        self.call("Input.insertText", json!({ "text": text }))
            .await
            .map(drop)
    }

    pub async fn enter(&self) -> Result<()> {
        self.press("Enter", 13, json!({"text": "\r"})).await
    }

    /// A key, which does more where it goes down.
    async fn press(&self, key: &str, code: u8, down: Value) -> Result<()> {
        let mut event = json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code});
        let up = event.clone();
        event["type"] = "keyDown".into();
        for (name, value) in down.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        for event in [event, up] {
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// What it has asked for and complained of so far.
    pub fn seen(&self) -> Seen {
        self.cdp.seen(&self.session)
    }

    /// What it looks like, for whoever reads the logs of a failure.
    pub async fn picture(&self, file: &Path) -> Result<()> {
        let answer = self.call("Page.captureScreenshot", json!({})).await?;
        let data = answer["data"].as_str().context("no picture")?;
        std::fs::write(file, STANDARD.decode(data)?).with_context(|| file.display().to_string())
    }

    /// Closes it with all that its site keeps in the browser.
    pub async fn close(self) -> Result<()> {
        let wanted = json!({"browserContextId": self.context});
        self.cdp
            .call(None, "Target.disposeBrowserContext", wanted)
            .await
            .map(drop)
    }

    /// For messages: where the page is, and the beginning of what it says.
    async fn shown(&self) -> String {
        let shown = self
            .evaluate("location.href + \" says: \" + said().slice(0, 300)")
            .await;
        match shown {
            Ok(Value::String(text)) => text.split_whitespace().collect::<Vec<_>>().join(" "),
            other => format!("{other:?}"),
        }
    }

    async fn call(&self, method: &str, parameters: Value) -> Result<Value> {
        self.cdp.call(Some(&self.session), method, parameters).await
    }
}

/// As JavaScript writes it.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
