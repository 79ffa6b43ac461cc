//! Reading the cases.

use serde_json::{Value, json};

pub struct Case {
    pub id: String,
    pub area: String,
    pub json: Value,
}

/// A request as a client sends it.
pub struct Request {
    pub method: String,
    pub target: String,
    pub proto: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub bytes_after_101: Option<String>,
}

pub fn load() -> Vec<Case> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../dataplane/vectors/kubesphere.jsonl"
    );
    let file = std::fs::read_to_string(path).unwrap();
    file.lines().map(Case::parse).collect()
}

// === impl Case ===

impl Case {
    fn parse(line: &str) -> Self {
        let mut json: Value = serde_json::from_str(line).unwrap();
        let (id, area) = (text(&json["id"]), text(&json["area"]));
        match area.as_str() {
            "rewrite.pattern" => as_rule(&mut json),
            "endpoint" => as_upstream(&mut json),
            _ => {}
        }
        Self { id, area, json }
    }

    pub fn is_named(&self, start: &str) -> bool {
        self.id.starts_with(start) || self.area.starts_with(start)
    }

    /// Does it ask what nobody in particular may do? That is kept longer than a case runs.
    pub fn asks_about_nobody(&self) -> bool {
        let headers = self.json["request"]["headers"].as_array();
        let is_named = headers
            .into_iter()
            .flatten()
            .any(|pair| text(&pair[1]).starts_with("Bearer "));
        let authorization = &self.json["config"]["authorization"];
        let is_plain = authorization.is_null() || authorization == "allow";
        !is_named && (!is_plain || !self.json["expect"]["review"].is_null())
    }

    pub fn expect(&self) -> &Value {
        &self.json["expect"]
    }

    pub fn request(&self, address: &str) -> Request {
        Request::parse(&self.json["request"], address)
    }

    pub fn setup_requests(&self, address: &str) -> Vec<Request> {
        let requests = self.json["config"]["setupRequests"]
            .as_array()
            .into_iter()
            .flatten();
        requests.map(|request| Request::parse(request, address)).collect()
    }
}

// === impl Request ===

impl Request {
    fn parse(json: &Value, address: &str) -> Self {
        let fill = |value: &Value| text(value).replace("UPSTREAM", address);
        let headers = json["headers"].as_array().into_iter().flatten();
        Self {
            method: text(&json["method"]),
            target: fill(&json["target"]),
            proto: json["proto"].as_str().unwrap_or("HTTP/1.1").to_owned(),
            headers: headers.map(|pair| (text(&pair[0]), fill(&pair[1]))).collect(),
            body: json["body"].as_str().map(str::to_owned),
            bytes_after_101: json["bytesAfter101"].as_str().map(str::to_owned),
        }
    }

    /// Every token carries the mark of its case.
    pub fn marked(mut self, mark: &str) -> Self {
        let tokens = self
            .headers
            .iter_mut()
            .filter(|(_, value)| value.starts_with("Bearer tok-"));
        tokens.for_each(|(_, value)| value.push_str(mark));
        self
    }

    pub fn get(target: &str) -> Self {
        Self::parse(&json!({ "method": "GET", "target": target }), "")
    }
}

/// A pattern shows from outside as a rule that leads to `/hit`.
fn as_rule(json: &mut Value) {
    let rule = format!("{} /hit", text(&json["pattern"]));
    json["config"] = proxy(&json!({
        "matcher": { "path": "/proxy/w*", "method": "*" },
        "upstream": { "url": "http://UPSTREAM" },
        "directives": { "stripPathPrefix": "/proxy/w", "rewrite": [rule] },
    }));
    json["request"] =
        json!({ "method": "GET", "target": format!("/proxy/w{}", text(&json["requestTarget"])) });
}

fn as_upstream(json: &mut Value) {
    json["config"] = proxy(&json!({
        "matcher": { "path": "/proxy/e*", "method": "*" },
        "upstream": json["endpoint"],
    }));
    json["request"] = json!({ "method": "GET", "target": "/proxy/e" });
}

fn proxy(spec: &Value) -> Value {
    json!({ "reverseProxies": [{ "name": "p", "spec": spec }] })
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// One value or several.
pub fn lines(value: &Value, address: &str) -> Vec<String> {
    let fill = |value: &Value| text(value).replace("UPSTREAM", address);
    match value {
        Value::Array(values) => values.iter().map(fill).collect(),
        one => vec![fill(one)],
    }
}
