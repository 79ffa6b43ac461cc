//! `ReverseProxy`: publishes a backend below `/proxy`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition::gateway;
use crate::definition::refine::{
    MAX_HOST, MAX_METHOD, MAX_PATH, add, at, directives, endpoint, limit, one_of, refine, require,
};
use crate::definition::rules;
use crate::gateway::{PolicyStep, SecretAlias};
use crate::{Condition, Directives, Endpoint};

/// Label that says which program serves a ReverseProxy.
pub const TARGET_LABEL: &str = "kubesphere.io/reverse-proxy-target";
/// Value of [`TARGET_LABEL`] that gives the object to the console of KubeSphere.
pub const TARGET_CONSOLE: &str = "ks-console";

/// What is published where.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "extensions.kubesphere.io",
    version = "v1alpha1",
    kind = "ReverseProxy",
    plural = "reverseproxies",
    shortname = "rp",
    category = "genkan",
    status = "ReverseProxyStatus",
    doc = "Publishes a backend below /proxy: requests that match are changed by the directives and sent to the upstream.",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Path","type":"string","jsonPath":".spec.matcher.path","description":"Path that is matched"}"#,
    printcolumn = r#"{"name":"Method","type":"string","jsonPath":".spec.matcher.method","description":"Method that is matched; * is any"}"#,
    printcolumn = r#"{"name":"Upstream","type":"string","jsonPath":".status.upstream","description":"Where requests go"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether requests are answered"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why, in one word"}"#,
    printcolumn = r#"{"name":"Proxies","type":"string","jsonPath":".status.proxies","description":"Proxies that serve this generation, of those that count"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message","description":"What to do"}"#,
    printcolumn = r#"{"name":"URL","type":"string","priority":1,"jsonPath":".status.urls[0]","description":"Where people open it"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ReverseProxySpec {
    /// Which requests are meant.
    /// Default: none, it is required.
    /// Example: {path: /proxy/grafana/*, method: "*"}
    #[serde(default)]
    #[schemars(required)]
    pub matcher: Matcher,

    /// Where they are sent: a url, or a service.
    /// Default: none, it is required.
    /// Example: {url: "http://grafana.monitoring.svc:3000"}
    #[serde(default)]
    #[schemars(required)]
    pub upstream: Upstream,

    /// Changes made to the request on its way to the backend, in the order of these fields, and to the answer on its way back.
    /// Default: none.
    /// Example: {stripPathPrefix: /proxy/grafana, headerUp: ["-Authorization"]}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directives: Option<Directives>,

    /// Hand the caller's verified credential on to the backend. It is a token of this cluster: only for backends that you trust with it.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_authorization: Option<bool>,

    /// Policies that act on each request and answer, in order, behind the access review (cors before it).
    /// Default: none.
    /// Example: [{use: rateLimit, with: {requests: 100, per: 1m, key: auth.user}}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyStep>,

    /// Secrets that the policies use, by alias. Whoever writes this needs the right to read them.
    /// Default: none.
    /// Example: [{alias: keys, namespace: shop, name: api-keys}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_secrets: Vec<SecretAlias>,
}

/// The backend of a web UI.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    #[serde(flatten)]
    pub endpoint: Endpoint,

    /// What becomes of Origin and Referer of the pages themselves: Translate makes them the backend's own, Keep leaves them as they come. Those of other sites are never changed.
    /// Default: Translate.
    /// Example: Keep
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,

    /// What the backend sees as Host.
    /// Default: {mode: Own}.
    /// Example: {mode: Preserve}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<UpstreamHost>,
}

/// What a backend sees as Host.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamHost {
    /// Own is the host of url or service, Preserve the public name that the client used where the administrator named it, Name the name beside it. TLS goes by url or service in any case.
    /// Default: Own.
    /// Example: Preserve
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,

    /// A host, perhaps with a port, for mode Name. Who writes it needs the right external on it.
    /// Default: none.
    /// Example: grafana.example
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Which requests are meant.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// Path of the request, below /proxy; with * at the end, everything that begins so. Written without percent-encoding.
    /// Default: none, it is required.
    /// Example: /proxy/grafana/*
    #[serde(default)]
    #[schemars(required)]
    pub path: String,

    /// Method of the request, in capitals as clients send it; * is any. GET does not cover HEAD.
    /// Default: none, it is required.
    /// Example: "*"
    #[serde(default)]
    #[schemars(required)]
    pub method: String,
}

/// What genkan found out; written by the operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReverseProxyStatus {
    /// The generation of the object that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Available while the condition Ready is True, else Unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,

    /// Where requests go, as resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,

    /// Where people open it, the URL of its own first; none where the operator is told no public URL.
    /// Example: ["https://grafana.apps.example.com/", "https://gw.example.com/proxy/grafana/"]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,

    /// How many proxies serve this generation, of those that count.
    /// Example: 2/3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<String>,

    /// Accepted, ResolvedRefs, Programmed and Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// With what the derived schema cannot say.
pub(crate) fn definition() -> CustomResourceDefinition {
    refine(ReverseProxy::crd(), |spec| {
        require(spec, &["matcher", "upstream"]);
        let matcher = at(spec, "matcher");
        require(matcher, &["path", "method"]);
        limit(at(matcher, "path"), MAX_PATH, &[]);
        limit(at(matcher, "method"), MAX_METHOD, rules::MATCHER_METHOD);
        let upstream = at(spec, "upstream");
        endpoint(upstream);
        one_of(at(upstream, "origin"), &["Translate", "Keep"]);
        let host = at(upstream, "host");
        one_of(at(host, "mode"), &["Own", "Preserve", "Name"]);
        limit(at(host, "name"), MAX_HOST, rules::HOST_NAME);
        add(host, rules::HOST);
        directives(at(spec, "directives"));
        gateway::policies(spec);
    })
}
