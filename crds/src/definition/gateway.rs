//! What the derived schemas of gateway extensions cannot say, and of the policies of published objects.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};

use super::refine::{
    MAX_NAME, MAX_URL, add, at, atomic, items_of, keyed, limit, one_of, refine, require, values_of,
};
use super::rules::gateway as rules;

const MAX_STEPS: i64 = 32;
const MAX_SECRETS: i64 = 8;
const MAX_CEL: i64 = 4 * 1024;
const MAX_TEXT: i64 = 1024;
const MAX_ENTRIES: i64 = 64;
const MAX_REASONS: i64 = 32;
/// Of a length of time, and of a quantity.
const MAX_DURATION: i64 = 32;
const MAX_SCRIPT: i64 = 256 * 1024;
const MAX_INLINE: i64 = 64 * 1024;
/// 700 KiB in base64.
const MAX_ARCHIVE: i64 = 956 * 1024;
/// Revisions and data planes have names of this length at most.
const MAX_STATUS_NAME: i64 = 320;

/// What may answer in place of another program, and what keeps others out: they fail closed unless allowed otherwise.
const PROTECTIVE: &[&str] = &[
    "antivirus",
    "apiKey",
    "authorize",
    "basic",
    "decrypt",
    "extAuth",
    "filter",
    "hmac",
    "introspect",
    "jwt",
    "mtls",
    "validateSchema",
    "verifySignature",
];

const TYPES: &[&str] = &[
    "Policy",
    "Hook",
    "Override",
    "Files",
    "CallOut",
    "dp-import",
    "extension",
    "gwd_extension",
    "policy-v5",
    "user-defined-policy",
    "user-defined-policy-yaml",
    "v5_extension",
    "global-policy",
];

/// `policies` and `policySecrets` of a published object.
pub(crate) fn policies(spec: &mut JSONSchemaProps) {
    steps(at(spec, "policies"), MAX_STEPS);
    secrets(at(spec, "policySecrets"), MAX_SECRETS);
}

/// The definition of PolicyDefinition.
pub(crate) fn policy_definition(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut crd = refine(crd, |spec| {
        add(spec, rules::DEFINITION);
        body(spec);
        limit(at(spec, "entry"), MAX_NAME * 2, &[]);
    });
    statuses(&mut crd, |status| {
        limit(at(status, "policy"), MAX_NAME, &[]);
        limit(at(status, "proxies"), MAX_NAME, &[]);
        used_by(status);
    });
    crd
}

/// The definition of GatewayExtension.
pub(crate) fn extension(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut crd = refine(crd, |spec| {
        add(spec, rules::EXTENSION);
        archive(at(spec, "archive"));
        let entries = at(spec, "entries");
        keyed(entries, MAX_ENTRIES, "name");
        entry(items_of(entries));
        secrets(at(spec, "secrets"), MAX_SECRETS * 2);
        one_of(at(at(spec, "deploy"), "default"), &["Immediate", "Deferred"]);
        rollout(at(spec, "rollout"));
        one_of(at(spec, "failurePolicy"), &["FailClosed", "FailOpen"]);
        let open = at(spec, "allowFailOpen");
        set(open, 16);
        one_of(items_of(open), PROTECTIVE);
        limit(at(spec, "rollbackTo"), MAX_STATUS_NAME, &[]);
        between(at(spec, "revisionHistoryLimit"), 1.0, 10.0);
    });
    statuses(&mut crd, |status| {
        for name in ["revision", "stableRevision"] {
            limit(at(status, name), MAX_STATUS_NAME, &[]);
        }
        used_by(status);
        for (name, most) in [("revisions", 16), ("warnings", 16), ("plan", 256)] {
            let list = at(status, name);
            atomic(list, most);
            limit(items_of(list), MAX_TEXT * 4, &[]);
        }
        let entries = at(status, "entries");
        keyed(entries, MAX_ENTRIES * 2, "name");
        require(items_of(entries), &["name"]);
        let provides = at(items_of(entries), "provides");
        atomic(provides, MAX_ENTRIES);
    });
    crd
}

fn archive(schema: &mut JSONSchemaProps) {
    require(schema, &["source"]);
    source(at(schema, "source"), MAX_ARCHIVE);
    one_of(at(schema, "layout"), &["Strict", "Lenient"]);
    one_of(at(schema, "onUnsupported"), &["Reject", "Skip"]);
    let designated = at(schema, "designated");
    designated.max_properties = Some(16);
    one_of(values_of(designated), &["prehook", "posthook", "error"]);
    for (name, most) in [("secretMap", 32), ("hostMap", 64)] {
        let map = at(schema, name);
        map.max_properties = Some(most);
        limit(values_of(map), MAX_URL, &[]);
    }
}

fn rollout(schema: &mut JSONSchemaProps) {
    one_of(at(schema, "trigger"), &["Auto", "Manual"]);
    between(at(schema, "maxUnavailable"), 1.0, 10.0);
    one_of(at(schema, "onFailure"), &["Rollback", "Pause"]);
    let drain = at(schema, "drain");
    one_of(at(drain, "mode"), &["WhenPossible", "Required", "Never"]);
    duration(at(drain, "settle"));
    duration(at(drain, "timeout"));
    let soak = at(schema, "soak");
    duration(at(soak, "duration"));
    between(at(soak, "minRequests"), 0.0, 1_000_000.0);
    limit(at(soak, "maxErrorRatio"), MAX_DURATION, rules::RATIO);
}

fn entry(schema: &mut JSONSchemaProps) {
    require(schema, &["name"]);
    add(schema, rules::ENTRY);
    limit(at(schema, "name"), 63, rules::ALIAS);
    one_of(at(schema, "type"), TYPES);
    one_of(at(schema, "deploy"), &["Immediate", "Deferred"]);
    between(at(schema, "order"), -1000.0, 1000.0);
    let depends = at(schema, "dependsOn");
    set(depends, 16);
    limit(items_of(depends), 63, &[]);
    one_of(at(schema, "mode"), &["Enforce", "Shadow", "Disabled"]);
    one_of(at(schema, "failurePolicy"), &["FailClosed", "FailOpen"]);
    let limits = at(schema, "limits");
    duration(at(limits, "deadline"));
    limit(at(limits, "memory"), MAX_DURATION, rules::BYTES);
    limit(at(limits, "maxBody"), MAX_DURATION, rules::BYTES);
    let policy = at(schema, "policy");
    add(policy, rules::BODY);
    body(policy);
    hook(at(schema, "hook"));
    overrides(at(schema, "override"));
    let files = at(schema, "files");
    source(at(files, "source"), MAX_INLINE);
    let map = at(files, "files");
    map.max_properties = Some(64);
    limit(values_of(map), MAX_INLINE, &[]);
    let call_out = at(schema, "callOut");
    require(call_out, &["policy", "version"]);
    identity(call_out);
    source(at(schema, "source"), MAX_INLINE);
}

fn hook(schema: &mut JSONSchemaProps) {
    require(schema, &["at", "steps"]);
    one_of(
        at(schema, "at"),
        &["PreRequest", "PostRequest", "PostResponse", "OnError"],
    );
    one_of(at(schema, "position"), &["AfterBuiltin", "BeforeBuiltin"]);
    between(at(schema, "priority"), -1000.0, 1000.0);
    select(at(schema, "select"));
    let errors = at(schema, "errors");
    atomic(errors, MAX_REASONS);
    limit(items_of(errors), MAX_NAME, &[]);
    let list = at(schema, "steps");
    steps(list, MAX_STEPS);
    list.min_items = Some(1);
}

fn overrides(schema: &mut JSONSchemaProps) {
    select(at(schema, "select"));
    let reset = at(schema, "reset");
    set(reset, 16);
    limit(items_of(reset), MAX_NAME, &[]);
}

fn select(schema: &mut JSONSchemaProps) {
    let kinds = at(schema, "kinds");
    set(kinds, 3);
    one_of(items_of(kinds), &["ReverseProxy", "APIService", "Connector"]);
    let names = at(schema, "names");
    set(names, 64);
    limit(items_of(names), MAX_NAME * 2, &[]);
    let labels = at(schema, "labels");
    labels.max_properties = Some(8);
    limit(values_of(labels), MAX_NAME, &[]);
}

/// Of a policy.
fn body(schema: &mut JSONSchemaProps) {
    require(schema, &["policy", "version"]);
    identity(schema);
    limit(at(schema, "title"), MAX_NAME, &[]);
    limit(at(schema, "description"), MAX_TEXT * 4, &[]);
    steps(at(schema, "steps"), MAX_STEPS);
    let script = at(schema, "script");
    limit(at(script, "source"), MAX_SCRIPT, &[]);
    limit(at(script, "file"), MAX_NAME * 2, &[]);
    let catch = at(schema, "catch");
    atomic(catch, 16);
    let one = items_of(catch);
    require(one, &["errors"]);
    let errors = at(one, "errors");
    atomic(errors, MAX_REASONS);
    limit(items_of(errors), MAX_NAME, &[]);
    steps(at(one, "steps"), MAX_STEPS);
    steps(at(schema, "finally"), 8);
}

fn identity(schema: &mut JSONSchemaProps) {
    limit(at(schema, "policy"), 63, rules::POLICY);
    limit(at(schema, "version"), MAX_DURATION, rules::VERSION);
}

fn steps(list: &mut JSONSchemaProps, most: i64) {
    atomic(list, most);
    let step = items_of(list);
    require(step, &["use"]);
    let uses = at(step, "use");
    limit(uses, 96, &[]);
    uses.pattern = Some(rules::USE.into());
    limit(at(step, "name"), 64, &[]);
    limit(at(step, "when"), MAX_CEL, &[]);
    one_of(at(step, "on"), &["Request", "Response"]);
    one_of(at(step, "true"), &["Request", "Response"]);
    one_of(at(step, "onError"), &["Fail", "Continue"]);
    one_of(at(step, "mode"), &["Enforce", "Shadow", "Disabled"]);
    duration(at(step, "timeout"));
}

fn secrets(list: &mut JSONSchemaProps, most: i64) {
    keyed(list, most, "alias");
    let secret = items_of(list);
    require(secret, &["alias", "namespace", "name"]);
    limit(at(secret, "alias"), 63, rules::ALIAS);
    limit(at(secret, "namespace"), MAX_NAME, &[]);
    limit(at(secret, "name"), MAX_NAME, &[]);
    limit(at(secret, "key"), MAX_NAME, &[]);
}

fn source(schema: &mut JSONSchemaProps, most: i64) {
    add(schema, rules::SOURCE);
    let inline = at(schema, "inline");
    add(inline, rules::INLINE);
    limit(at(inline, "text"), most, &[]);
    limit(at(inline, "base64"), most, &[]);
    let config_map = at(schema, "configMap");
    add(config_map, rules::KEYS);
    require(config_map, &["namespace", "name"]);
    for name in ["namespace", "name"] {
        limit(at(config_map, name), MAX_NAME, &[]);
    }
    keys(config_map);
    let secret = at(schema, "secret");
    add(secret, rules::SECRET_KEYS);
    require(secret, &["alias"]);
    limit(at(secret, "alias"), 63, &[]);
    keys(secret);
    let url = at(schema, "url");
    require(url, &["url", "sha256"]);
    limit(at(url, "url"), MAX_URL, &[]);
    limit(at(url, "sha256"), 64, rules::SHA256);
    limit(at(url, "ca"), 63, &[]);
    limit(at(url, "authorization"), 63, &[]);
    duration(at(url, "timeout"));
}

fn keys(schema: &mut JSONSchemaProps) {
    limit(at(schema, "key"), MAX_NAME, &[]);
    let keys = at(schema, "keys");
    atomic(keys, 8);
    limit(items_of(keys), MAX_NAME, &[]);
}

fn duration(schema: &mut JSONSchemaProps) {
    limit(schema, MAX_DURATION, rules::DURATION);
}

fn between(schema: &mut JSONSchemaProps, least: f64, most: f64) {
    schema.minimum = Some(least);
    schema.maximum = Some(most);
}

fn set(list: &mut JSONSchemaProps, most: i64) {
    list.max_items = Some(most);
    list.x_kubernetes_list_type = Some("set".into());
}

fn used_by(status: &mut JSONSchemaProps) {
    let list = at(status, "usedBy");
    atomic(list, 16);
    limit(items_of(list), MAX_STATUS_NAME * 2, &[]);
}

fn statuses(crd: &mut CustomResourceDefinition, of: impl Fn(&mut JSONSchemaProps)) {
    for version in &mut crd.spec.versions {
        let root = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut());
        of(at(root.expect("the derived definition has a schema"), "status"));
    }
}
