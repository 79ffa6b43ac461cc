//! Which kind a request goes to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use genkan_routing::decide::Family;
use genkan_routing::table::ApiServices;
use genkan_routing::{Decision, RequestInfo, RouteTable, Table, Target, arriving};
use http::{HeaderMap, HeaderValue};

fn mk_table() -> Table<&'static str, &'static str> {
    let mut reverse_proxies = RouteTable::new();
    reverse_proxies.insert("/proxy/x/*", "*", "x");
    reverse_proxies.insert("/proxy/get/*", "GET", "get");
    let mut api_services = ApiServices::default();
    for (group, version, name) in [
        ("g.io", "v1", "g1"),
        ("g.io", "v2", "g2"),
        ("a.io", "v1", "a1"),
        ("", "v1", "core"),
    ] {
        api_services.insert(group, version, name);
    }
    Table {
        reverse_proxies,
        api_services,
        connectors: genkan_routing::connectors::Connectors::default(),
        host_cluster: Some("host".into()),
    }
}

fn ask(method: &str, target: &str) -> String {
    let table = mk_table();
    let target = Target::parse(target.as_bytes()).unwrap();
    let info = RequestInfo::parse(method, &target.path, target.query).unwrap();
    match table.decide(method, &info, target.query) {
        Decision::ReverseProxy(name) => format!("proxy {name}"),
        Decision::ApiService(name) => format!("api {name}"),
        Decision::BarePrefix { location } => format!("308 {}", String::from_utf8(location).unwrap()),
        Decision::ApiGroup { group, versions } => format!("group {group} {versions:?}"),
        Decision::ApiGroupList(groups) => format!("groups {groups:?}"),
        Decision::Kubernetes => "kubernetes".into(),
        Decision::Cluster { name } => format!("cluster {name}"),
        Decision::Connector(_) => "a connector".into(),
        Decision::NotFound => "nothing".into(),
    }
}

#[test]
fn every_request_has_one_door() {
    let cases = [
        ("GET", "/proxy/x/a", "proxy x"),
        ("GET", "/proxy/x?a=1", "308 /proxy/x/?a=1"),
        ("HEAD", "/proxy/x?", "308 /proxy/x/?"),
        ("POST", "/proxy/x", "nothing"),
        ("HEAD", "/proxy/get", "nothing"),
        ("GET", "/clusters/host/proxy/x/a", "proxy x"),
        ("GET", "/clusters/host/proxy/x", "308 /clusters/host/proxy/x/"),
        ("GET", "/clusters/m1/proxy/x/a", "cluster m1"),
        ("GET", "/clusters/host%2Fproxy/x/y", "cluster host%2Fproxy"),
        ("GET", "/clusters-rewrite/host/proxy/x/a", "proxy x"),
        ("GET", "/clusters-rewrite/host/kapis/g.io/v2/things", "api g2"),
        ("GET", "/clusters-rewrite/host/api/v1/pods", "kubernetes"),
        ("GET", "/clusters-rewrite/m1/proxy/x/a", "cluster m1"),
        ("GET", "/kapis/clusters-rewrite/m1/g.io/v1", "nothing"),
        ("GET", "/kapis/g.io/v1/things", "api g1"),
        ("GET", "/kapis/G.io/v1/things", "nothing"),
        ("GET", "/kapi/v1/things", "api core"),
        ("GET", "/clusters/host/kapis/g.io/v2/things/a%2Fb", "api g2"),
        ("GET", "/kapis/g.io/v1", "api g1"),
        ("GET", "/kapis/g.io/v1/", "api g1"),
        ("GET", "/kapis/g.io", "group g.io [\"v1\", \"v2\"]"),
        ("GET", "/kapis/none.io", "nothing"),
        (
            "GET",
            "/kapis",
            "groups [(\"a.io\", [\"v1\"]), (\"g.io\", [\"v1\", \"v2\"])]",
        ),
        ("GET", "/api/v1/pods", "kubernetes"),
        ("GET", "/apis", "kubernetes"),
        ("GET", "/version", "kubernetes"),
        ("GET", "/openapi/v3/api", "kubernetes"),
        ("GET", "/healthz/ping", "kubernetes"),
        ("GET", "/livez", "kubernetes"),
        ("GET", "/readyz?verbose", "kubernetes"),
        ("GET", "/clusters/host/version", "kubernetes"),
        ("GET", "/clusters/host/openapi/v2", "kubernetes"),
        ("GET", "/clusters/m1/version", "cluster m1"),
        ("GET", "/openapi%2Fv2", "nothing"),
        ("GET", "/healthzx", "nothing"),
        ("GET", "/openapix", "nothing"),
        ("GET", "/", "nothing"),
    ];
    for (method, target, expected) in cases {
        assert_eq!(ask(method, target), expected, "{method} {target}");
    }
}

/// What kube-apiserver decides it decides about impersonation as well; nobody else does.
#[test]
fn impersonation_is_for_kubernetes_alone() {
    let table = mk_table();
    let check = |headers: &HeaderMap, path: &str| {
        let info = RequestInfo::parse("GET", path, None).unwrap();
        let decision = table.decide("GET", &info, None);
        arriving::refuse_impersonation(headers, &decision).map_err(|refused| refused.reason)
    };
    let mut headers = HeaderMap::new();
    assert_eq!(check(&headers, "/proxy/x/a"), Ok(()));
    headers.insert("impersonate.user", HeaderValue::from_static("root"));
    assert_eq!(check(&headers, "/api"), Ok(()));
    for path in [
        "/api/v1/pods",
        "/apis",
        "/apis/apps/v1/deployments",
        "/openapi",
        "/openapi/v3",
        "/version",
        "/healthz",
        "/livez/ping",
        "/readyz",
    ] {
        let of_host = format!("/clusters/host{path}");
        assert_eq!(check(&headers, path), Ok(()), "{path}");
        assert_eq!(check(&headers, &of_host), Ok(()), "{of_host}");
        let of_member = format!("/clusters/m1{path}");
        assert!(check(&headers, &of_member).is_err(), "{of_member}");
    }
    for path in [
        "/proxy/x/a",
        "/kapis",
        "/kapis/g.io",
        "/kapis/g.io/v1/things",
        "/nothing",
        "/versions",
        "/apix/v1",
    ] {
        assert_eq!(check(&headers, path), Err("ImpersonationNotSupported"), "{path}");
        assert!(
            check(&headers, &format!("/clusters/host{path}")).is_err(),
            "{path}"
        );
    }
}

/// Which credentials count is settled by the path alone, and never wider than for where the request goes in the end.
#[test]
fn family_fits_every_decision() {
    const SEGMENTS: [&str; 15] = [
        "",
        "api",
        "apis",
        "kapi",
        "kapis",
        "clusters",
        "clusters-rewrite",
        "host",
        "m1",
        "version",
        "openapi",
        "proxy",
        "x",
        "g.io",
        "v1",
    ];
    let table = mk_table();
    let mut paths = vec![String::new()];
    let mut from = 0;
    for _ in 0..4 {
        let until = paths.len();
        for at in from..until {
            paths.extend(
                SEGMENTS
                    .iter()
                    .map(|segment| format!("{}/{segment}", paths[at]))
                    .collect::<Vec<_>>(),
            );
        }
        from = until;
    }
    let mut seen = [0; 4];
    for path in &paths[1..] {
        let Ok(info) = RequestInfo::parse("GET", path, None) else {
            continue;
        };
        let family = Family::of(path, Some("host"));
        let (at, fits) = match table.decide("GET", &info, None) {
            Decision::Kubernetes => (0, family == Family::Kubernetes),
            Decision::Cluster { .. } => (1, family == Family::Cluster),
            Decision::ReverseProxy(_) | Decision::BarePrefix { .. } => {
                (2, matches!(family, Family::Proxy | Family::Cluster))
            }
            Decision::ApiService(_) | Decision::ApiGroup { .. } | Decision::ApiGroupList(_) => {
                (3, matches!(family, Family::Apis | Family::Cluster))
            }
            Decision::NotFound | Decision::Connector(_) => continue,
        };
        assert!(fits, "{path} is of {family:?}");
        seen[at] += 1;
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}
