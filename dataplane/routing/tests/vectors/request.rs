//! One request through the whole library: canonical target, attributes, decision, directives, headers, and back.

use std::collections::BTreeMap;

use genkan_routing::connection::tokens;
use genkan_routing::headers::is_hop_by_hop;
use genkan_routing::identity::{is_identity_header, is_impersonation_header};
use genkan_routing::links::PublicPrefix;
use genkan_routing::redirect::leaves_origin;
use genkan_routing::{Decision, HeaderStore, Input, RequestInfo, Target, repair_query};
use serde_json::Value;

use super::case::{Case, Outcome, list, outcome, refusal, same, text};
use super::world::{self, Route, UPSTREAM};

type Headers = BTreeMap<String, Vec<String>>;

pub fn judge(case: &Case) -> Outcome {
    let world = world::build(case);
    if case.json["admission"]["field"]
        .as_str()
        .is_some_and(|field| field.ends_with("caBundle"))
    {
        return Outcome::LeftOut("certificates");
    }
    if !case.json["admission"].is_null() {
        return refusal(case, &world.problems);
    }
    if !world.problems.is_empty() {
        return Outcome::Failed(format!("refused: {:?}", world.problems));
    }
    let response = &case.expect()["response"];
    if matches!(response["status"].as_u64(), Some(401 | 403)) {
        return Outcome::LeftOut("identity");
    }
    if case.json["upstream"]["mode"].is_string() || response.is_null() {
        return Outcome::LeftOut("on the wire");
    }
    if case.json["config"]["reverseProxiesAfterSetup"].is_array() {
        return Outcome::LeftOut("on the wire");
    }
    if case
        .headers()
        .iter()
        .any(|(name, _)| is_impersonation_header(name) || is_identity_header(name))
    {
        return Outcome::LeftOut("identity");
    }
    outcome(run(case, &world.table))
}

fn run(case: &Case, table: &genkan_routing::Table<Route, Route>) -> Result<(), Outcome> {
    let status = |code: u64| {
        same(
            "the status",
            code,
            case.expect()["response"]["status"].as_u64().unwrap(),
        )
    };
    let target = match Target::parse(case.target()) {
        Ok(target) => target,
        Err(_) => return status(400),
    };
    let query = target.query.map(repair_query);
    let info = match RequestInfo::parse(case.method(), &target.path, query.as_deref()) {
        Ok(info) => info,
        Err(error) => return status(u64::from(error.code())),
    };
    match table.decide(case.method(), &info, query.as_deref()) {
        Decision::ReverseProxy(route) | Decision::ApiService(route) => {
            forward(case, route, &info, query.as_deref())
        }
        Decision::BarePrefix { location } => {
            status(308)?;
            let expected = text(&case.expect()["response"]["headers"]["Location"]);
            same("Location", String::from_utf8(location).unwrap(), expected)
        }
        Decision::NotFound => status(404),
        Decision::Cluster { .. } if case.json["config"]["clusters"].is_null() => status(400),
        Decision::Cluster { name } => {
            let known = world::objects(&case.json["config"], "clusters")
                .any(|cluster| text(&cluster["name"]) == name);
            if known {
                Err(Outcome::LeftOut("member clusters"))
            } else {
                status(400)
            }
        }
        Decision::Kubernetes => Err(Outcome::LeftOut("kube-apiserver")),
        Decision::ApiGroup { .. } | Decision::ApiGroupList(_) => status(200),
        Decision::Connector(_) => panic!("no case is one of the Connector API"),
    }
}

fn forward(case: &Case, route: &Route, info: &RequestInfo<'_>, query: Option<&[u8]>) -> Result<(), Outcome> {
    let endpoint = route.endpoint.as_ref().unwrap();
    let input = Input {
        method: case.method(),
        path: &info.path,
        query,
        host: "gw.test",
    };
    let outgoing = match route.directives.rewrite_request(input) {
        Ok(outgoing) => outgoing,
        Err(error) => {
            let expected = case.expect()["response"]["status"].as_u64().unwrap();
            return same("the status", u64::from(error.code()), expected);
        }
    };
    let expected = &case.expect()["upstream"][0];
    if expected.is_null() {
        return Err(Outcome::LeftOut("on the wire"));
    }
    let target = String::from_utf8(outgoing.target(&endpoint.base_path)).unwrap();
    same("the target", target, text(&expected["target"]))?;
    same(
        "the method",
        &*outgoing.method,
        expected["method"].as_str().unwrap(),
    )?;

    let mut store = Store(Vec::new());
    let nominated: Vec<String> = case
        .headers()
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| {
            tokens(value.as_bytes())
                .map(|token| String::from_utf8_lossy(token).to_lowercase())
                .collect::<Vec<_>>()
        })
        .collect();
    for (name, value) in case.headers() {
        if !is_hop_by_hop(&name) && !nominated.contains(&name.to_lowercase()) {
            store.0.push((name, value));
        }
    }
    route.directives.header_up.apply(&mut store);
    same(
        "the headers",
        directed(store.into_headers(), &REQUEST_IGNORED),
        directed(expected_headers(expected), &REQUEST_IGNORED),
    )?;
    let prefix = PublicPrefix::new(info.cluster, outgoing.stripped_prefix, endpoint.scheme, UPSTREAM);
    answer(case, route, &prefix)
}

fn answer(case: &Case, route: &Route, prefix: &PublicPrefix<'_>) -> Result<(), Outcome> {
    let raw = case.json["upstream"]["rawResponse"].as_str();
    let raw = raw
        .unwrap_or("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nok")
        .replace("UPSTREAM", UPSTREAM);
    let mut lines = raw.split("\r\n");
    let code: u64 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    if code < 200 {
        return Err(Outcome::LeftOut("on the wire"));
    }
    let mut store = Store(Vec::new());
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Outcome::LeftOut("on the wire"));
        };
        store.0.push((name.to_owned(), value.trim().to_owned()));
    }
    let location = store
        .0
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("location"))
        .map(|(_, value)| value);
    let expected = &case.expect()["response"];
    let leaves = location.is_some_and(|location| leaves_origin(location.as_bytes(), prefix.scheme, UPSTREAM));
    if route.directives.reject_forwarding_redirects && (300..400).contains(&code) && leaves {
        return same("the status", 502, expected["status"].as_u64().unwrap());
    }
    same("the status", code, expected["status"].as_u64().unwrap())?;
    if expected["interim"].is_array() {
        return Ok(());
    }
    if route.directives.wrap_transport {
        for (name, value) in &mut store.0 {
            let moved = match name.to_lowercase().as_str() {
                "location" | "content-location" => prefix.link(value.as_bytes()),
                "set-cookie" => prefix.cookie(value.as_bytes()),
                _ => None,
            };
            if let Some(moved) = moved {
                *value = String::from_utf8(moved).unwrap();
            }
        }
        store.retain(&|name| !name.to_lowercase().starts_with("access-control-allow-"));
    }
    route.directives.header_down.apply(&mut store);
    let listed = expected_headers(expected);
    let got = directed(store.into_headers(), &RESPONSE_IGNORED);
    same("the answer's headers", got, directed(listed, &RESPONSE_IGNORED))
}

/// Made by the data plane, not by directives.
const REQUEST_IGNORED: [&str; 7] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-uri",
    "x-forwarded-host",
    "x-forwarded-proto",
    "te",
    "content-length",
];
const RESPONSE_IGNORED: [&str; 7] = [
    "date",
    "connection",
    "content-length",
    "transfer-encoding",
    "trailer",
    "keep-alive",
    "upgrade",
];

fn directed(mut headers: Headers, ignored: &[&str]) -> Headers {
    headers.retain(|name, _| !ignored.contains(&name.as_str()) && !is_identity_header(name));
    headers
}

fn expected_headers(expected: &Value) -> Headers {
    let headers = expected["headers"].as_object().into_iter().flatten();
    headers
        .map(|(name, value)| {
            (
                name.to_lowercase(),
                list(value)
                    .iter()
                    .map(|line| line.replace("UPSTREAM", UPSTREAM))
                    .collect(),
            )
        })
        .collect()
}

struct Store(Vec<(String, String)>);

impl Store {
    fn into_headers(self) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in self.0 {
            headers.entry(name.to_lowercase()).or_default().push(value);
        }
        headers
    }
}

impl HeaderStore for Store {
    fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    fn append(&mut self, name: &str, value: &[u8]) {
        self.0
            .push((name.to_owned(), String::from_utf8(value.to_vec()).unwrap()));
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(of, _)| !of.eq_ignore_ascii_case(name));
    }

    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }
}
