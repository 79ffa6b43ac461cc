//! What the derived schemas of the connector kinds cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceSubresourceStatus, JSONSchemaProps,
};
use serde_json::json;

use super::refine::{
    MAX_CA_BUNDLE, MAX_NAME, MAX_URL, add, at, atomic, conditions_by_type, items_of, keyed, limit, one_of,
    refine_root, require, values_of,
};
use super::rules::connectors as rules;

/// In any list of parameters.
const MAX_PARAMS: i64 = 32;
const MAX_AUTH_TYPES: i64 = 16;
const MAX_CONFIGURATIONS: i64 = 32;
/// In any map.
const MAX_MEMBERS: i64 = 64;
const MAX_VALUE: i64 = 8 * 1024;
const MAX_REGO: i64 = 64 * 1024;
const MAX_CEL: i64 = 4 * 1024;
const MAX_TEMPLATE: i64 = 8 * 1024;
/// Of an annotation or a file, which may hold a page or a picture.
const MAX_FILE: i64 = 64 * 1024;
const MAX_HEADERS: i64 = 32;
const MAX_SCOPES: i64 = 32;
const MAX_ENUM: i64 = 64;

/// The definition of ConnectorClass.
pub(crate) fn class(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    refine_root(crd, |root| {
        let status = at(root, "status");
        shared_status(status);
        addressable(at(at(status, "api"), "address"));
        let hosts = at(status, "credentialHosts");
        hosts.max_items = Some(1024);
        hosts.x_kubernetes_list_type = Some("set".into());
        limit(items_of(hosts), MAX_NAME, &[]);
        let spec = at(root, "spec");
        let address = at(spec, "address");
        param_spec(address);
        address.required = None;
        let name = at(address, "name");
        name.x_kubernetes_validations = None;
        name.description = Some("Name of the parameter.\nDefault: address.\nExample: address".into());
        param_specs(at(spec, "addressExtensions"));
        param_specs(at(spec, "params"));
        let types = at(at(spec, "auth"), "types");
        keyed(types, MAX_AUTH_TYPES, "name");
        auth_type(items_of(types));
        let probes = at(spec, "authProbes");
        keyed(probes, MAX_AUTH_TYPES, "authName");
        auth_probe(items_of(probes));
        probe(at(spec, "livenessProbe"));
        let api = at(spec, "api");
        destination(api);
        limit(at(at(api, "permissions"), "rego"), MAX_REGO, &[]);
        let proxy = at(spec, "proxy");
        destination(proxy);
        limit(at(at(proxy, "authExtractor"), "rego"), MAX_REGO, &[]);
        let configurations = at(spec, "configurations");
        atomic(configurations, MAX_CONFIGURATIONS);
        add(configurations, rules::UNIQUE_NAMES);
        configuration(items_of(configurations));
    })
}

/// The definition of Connector.
pub(crate) fn connector(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    refine_root(crd, |root| {
        let status = at(root, "status");
        shared_status(status);
        limit(at(at(status, "api"), "path"), MAX_URL, &[]);
        limit(at(status, "proxies"), MAX_NAME, &[]);
        let spec = at(root, "spec");
        require(spec, &["connectorClassName"]);
        add(spec, rules::CONNECTOR);
        limit(at(spec, "connectorClassName"), MAX_NAME, rules::CLASS_NAME);
        limit(at(spec, "address"), MAX_URL, rules::ADDRESS);
        let extensions = at(spec, "addressExtensions");
        params(extensions);
        limit(at(items_of(extensions), "value"), MAX_URL, rules::ADDRESS);
        params(at(spec, "params"));
        let auth = at(spec, "auth");
        limit(at(auth, "name"), MAX_NAME, &[]);
        params(at(auth, "params"));
        let secret = at(auth, "secretRef");
        secret.x_kubernetes_map_type = Some("atomic".into());
        add(secret, rules::SECRET_REFERENCE);
        limit(at(secret, "name"), MAX_NAME, rules::SECRET_NAME);
        for field in [
            "namespace",
            "kind",
            "apiVersion",
            "fieldPath",
            "resourceVersion",
            "uid",
        ] {
            limit(at(secret, field), MAX_NAME, &[]);
        }
        let certificates = at(spec, "caCertSecretRef");
        require(certificates, &["name"]);
        limit(at(certificates, "name"), MAX_NAME, rules::SECRET_NAME);
        super::gateway::policies(spec);
    })
}

/// The definition of ResourceInterface.
pub(crate) fn resource_interface(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut crd = refine_root(crd, |root| {
        let spec = at(root, "spec");
        spec.properties = None;
        spec.additional_properties = None;
        spec.x_kubernetes_preserve_unknown_fields = Some(true);
        let mut status = spec.clone();
        status.description = Some("Whatever a program wrote; genkan writes none.".into());
        root.properties
            .get_or_insert_default()
            .insert("status".into(), status);
    });
    for version in &mut crd.spec.versions {
        let subresources = version.subresources.get_or_insert_default();
        subresources.status = Some(CustomResourceSubresourceStatus(json!({})));
    }
    crd
}

fn shared_status(status: &mut JSONSchemaProps) {
    let condition = conditions_by_type(at(status, "conditions"));
    require(condition, &["status", "type"]);
    limit(at(condition, "severity"), MAX_NAME, &[]);
    limit(at(condition, "reason"), 1024, &[]);
    map(at(status, "annotations"), MAX_FILE);
    addressable(at(at(status, "proxy"), "httpAddress"));
}

fn addressable(address: &mut JSONSchemaProps) {
    limit(at(address, "name"), MAX_NAME, &[]);
    limit(at(address, "url"), MAX_URL, &[]);
    limit(at(address, "CACerts"), MAX_CA_BUNDLE, &[]);
    limit(at(address, "audience"), MAX_URL, &[]);
}

fn map(schema: &mut JSONSchemaProps, most: i64) {
    schema.max_properties = Some(MAX_MEMBERS);
    limit(values_of(schema), most, &[]);
}

fn param_specs(list: &mut JSONSchemaProps) {
    atomic(list, MAX_PARAMS);
    add(list, rules::UNIQUE_NAMES);
    param_spec(items_of(list));
}

fn param_spec(schema: &mut JSONSchemaProps) {
    const TYPES: &[&str] = &["string", "array", "object"];
    require(schema, &["name"]);
    limit(at(schema, "name"), MAX_NAME, rules::NAME);
    add(schema, rules::PARAM_SPEC);
    one_of(at(schema, "type"), TYPES);
    limit(at(schema, "description"), MAX_VALUE, &[]);
    let words = at(schema, "enum");
    words.max_items = Some(MAX_ENUM);
    words.x_kubernetes_list_type = Some("set".into());
    limit(items_of(words), MAX_URL, &[]);
    let properties = at(schema, "properties");
    properties.max_properties = Some(MAX_MEMBERS);
    one_of(at(values_of(properties), "type"), TYPES);
    map(at(schema, "annotations"), MAX_FILE);
}

fn params(list: &mut JSONSchemaProps) {
    atomic(list, MAX_PARAMS);
    add(list, rules::UNIQUE_NAMES);
    let param = items_of(list);
    require(param, &["name", "value"]);
    limit(at(param, "name"), MAX_NAME, rules::NAME);
    limit(at(param, "value"), MAX_VALUE, &[]);
}

fn auth_type(schema: &mut JSONSchemaProps) {
    require(schema, &["name"]);
    limit(at(schema, "name"), MAX_NAME, rules::NAME);
    add(schema, rules::AUTH_TYPE);
    limit(at(schema, "secretType"), MAX_NAME, &[]);
    param_specs(at(schema, "params"));
    limit(at(schema, "displayName"), MAX_NAME, &[]);
    limit(at(schema, "description"), MAX_VALUE, &[]);
    map(at(schema, "annotations"), MAX_FILE);
    let generator = at(schema, "generator");
    add(generator, rules::GENERATOR);
    limit(at(generator, "rego"), MAX_REGO, &[]);
    let oauth2 = at(generator, "oauth2");
    require(oauth2, &["tokenURL"]);
    limit(at(oauth2, "tokenURL"), MAX_URL, rules::ADDRESS);
    let scopes = at(oauth2, "scopes");
    atomic(scopes, MAX_SCOPES);
    limit(items_of(scopes), MAX_NAME, &[]);
    limit(at(oauth2, "CACerts"), MAX_CA_BUNDLE, &[]);
}

fn auth_probe(schema: &mut JSONSchemaProps) {
    require(schema, &["authName"]);
    limit(at(schema, "authName"), MAX_NAME, rules::NAME);
    param_specs(at(schema, "params"));
    probe(at(schema, "probe"));
}

fn probe(schema: &mut JSONSchemaProps) {
    add(schema, rules::PROBE);
    limit(at(at(schema, "api"), "path"), MAX_TEMPLATE, rules::PROBE_PATH);
    let http = at(schema, "http");
    require(http, &["path"]);
    limit(at(http, "path"), MAX_TEMPLATE, rules::PROBE_PATH);
    limit(at(http, "host"), MAX_NAME, rules::PROBE_HOST);
    one_of(at(http, "scheme"), &["http", "https"]);
    one_of(at(http, "method"), &["GET", "POST"]);
    limit(at(at(http, "response"), "cel"), MAX_CEL, &[]);
    let headers = at(http, "httpHeaders");
    atomic(headers, MAX_HEADERS);
    let header = items_of(headers);
    require(header, &["name", "value"]);
    limit(at(header, "name"), MAX_NAME, rules::HEADER_NAME);
    limit(at(header, "value"), MAX_TEMPLATE, &[]);
}

fn destination(schema: &mut JSONSchemaProps) {
    limit(at(schema, "uri"), MAX_URL, rules::URI);
    limit(at(schema, "CACerts"), MAX_CA_BUNDLE, &[]);
    limit(at(schema, "audience"), MAX_URL, &[]);
    let service = at(schema, "ref");
    add(service, rules::SERVICE);
    require(service, &["name"]);
    for field in ["name", "namespace", "kind", "apiVersion", "group", "address"] {
        limit(at(service, field), MAX_NAME, &[]);
    }
}

fn configuration(schema: &mut JSONSchemaProps) {
    require(schema, &["name"]);
    limit(at(schema, "name"), MAX_NAME, rules::NAME);
    param_specs(at(schema, "params"));
    map(at(schema, "data"), MAX_FILE);
    map(at(schema, "annotations"), MAX_FILE);
}
