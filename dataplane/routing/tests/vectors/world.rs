//! The objects of a case, compiled.

use std::collections::HashMap;
use std::sync::Arc;

use genkan_routing::matcher::method_problem;
use genkan_routing::model::ObjectKey;
use genkan_routing::{Claim, Claims, DirectiveSpec, Directives, Endpoint, Scheme, Standing, Table};
use serde_json::Value;

use super::case::{Case, text};

/// Stands for the address of the backend.
pub const UPSTREAM: &str = "127.0.0.1:8080";

#[derive(Clone)]
pub struct Route {
    pub directives: Arc<Directives>,
    pub endpoint: Option<Endpoint>,
}

/// Field path and sentence.
pub type Refused = (String, String);

pub struct World {
    pub table: Table<Route, Route>,
    pub problems: Vec<Refused>,
}

pub fn build(case: &Case) -> World {
    let config = &case.json["config"];
    let mut problems = Vec::new();
    let claims = claims(config);
    let mut table = Table::default();
    for proxy in objects(config, "reverseProxies").filter(|proxy| !is_elsewhere(proxy)) {
        let spec = &proxy["spec"];
        let (path, method) = (text(&spec["matcher"]["path"]), text(&spec["matcher"]["method"]));
        problems.extend(method_problem(&method).map(|reason| ("spec.matcher.method".to_owned(), reason)));
        let endpoint = endpoint(&spec["upstream"], "spec.upstream")
            .map_err(|problem| problems.push(problem))
            .ok();
        let directives: DirectiveSpec = spec
            .get("directives")
            .cloned()
            .map(|spec| serde_json::from_value(spec).unwrap())
            .unwrap_or_default();
        let directives = Directives::compile(&directives).unwrap_or_else(|found| {
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| (format!("spec.{}", problem.field), problem.reason)),
            );
            Directives::default()
        });
        if claims.standing(&ObjectKey::reverse_proxy(text(&proxy["name"]))) == Some(Standing::Wins) {
            let route = Route {
                directives: Arc::new(directives),
                endpoint,
            };
            table.reverse_proxies.insert(&path, &method, route);
        }
    }
    let mut services: HashMap<String, (String, Route)> = HashMap::new();
    for service in objects(config, "apiServices") {
        let spec = &service["spec"];
        let endpoint = endpoint(spec, "spec")
            .map_err(|problem| problems.push(problem))
            .ok();
        let route = Route {
            directives: Arc::default(),
            endpoint,
        };
        let age = format!(
            "{} {}",
            text(&service["creationTimestamp"]),
            text(&service["name"])
        );
        let key = format!("{}/{}", text(&spec["group"]), text(&spec["version"]));
        if services.get(&key).is_none_or(|(older, _)| age < *older) {
            services.insert(key, (age, route));
        }
    }
    for (key, (_, route)) in services {
        let (group, version) = key.rsplit_once('/').unwrap();
        table.api_services.insert(group, version, route);
    }
    let host = objects(config, "clusters")
        .find(|cluster| cluster["labels"].get("cluster-role.kubesphere.io/host").is_some());
    table.host_cluster = host.map(|cluster| text(&cluster["name"]).into());
    World { table, problems }
}

pub fn claims(config: &Value) -> Claims {
    let mut claims = Claims::new();
    for proxy in objects(config, "reverseProxies").filter(|proxy| !is_elsewhere(proxy)) {
        let matcher = &proxy["spec"]["matcher"];
        // Digits of a timestamp are in order like the time itself.
        let digits: String = text(&proxy["creationTimestamp"])
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        claims.insert(Claim {
            object: ObjectKey::reverse_proxy(text(&proxy["name"])),
            path: text(&matcher["path"]),
            method: text(&matcher["method"]),
            created: digits.parse().unwrap_or_default(),
        });
    }
    claims
}

pub fn endpoint(spec: &Value, field: &str) -> Result<Endpoint, Refused> {
    let at = |part: &str| format!("{field}.{part}");
    if let Some(url) = spec["url"].as_str() {
        let url = url.replace("UPSTREAM", UPSTREAM);
        return Endpoint::from_url(&url).map_err(|error| (at("url"), error.to_string()));
    }
    let service = &spec["service"];
    if service.is_null() {
        return Err((field.to_owned(), "neither url nor service is set".into()));
    }
    let port = service["port"].as_u64().unwrap_or(443).try_into().unwrap();
    Endpoint::from_service(
        &text(&service["namespace"]),
        &text(&service["name"]),
        port,
        &text(&service["path"]),
        Scheme::Https,
    )
    .map_err(|error| (at("service.path"), error.to_string()))
}

pub fn objects<'c>(config: &'c Value, kind: &str) -> impl Iterator<Item = &'c Value> {
    config[kind].as_array().into_iter().flatten()
}

fn is_elsewhere(proxy: &Value) -> bool {
    proxy["labels"]["kubesphere.io/reverse-proxy-target"] == "ks-console"
}
