//! What the derived schemas cannot say: limits, list types, required fields, rules.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    ValidationRule,
};
use serde_json::json;

use super::rules::{self, Rule};

const MAX_RULES: i64 = 64;
const MAX_ITEM: i64 = 8 * 1024;
const MAX_BODY_RULES: i64 = 8;
const MAX_BODY_TEXT: i64 = 1024;
const MAX_CONTENT_TYPE: i64 = 128;
pub(crate) const MAX_PATH: i64 = 1024;
pub(crate) const MAX_METHOD: i64 = 32;
pub(crate) const MAX_HOST: i64 = 260;
pub(crate) const MAX_URL: i64 = 2048;
pub(crate) const MAX_NAME: i64 = 253;
pub(crate) const MAX_CA_BUNDLE: i64 = 256 * 1024;

/// The derived definition with what is said of its conditions, and of its specification by `spec`.
pub(crate) fn refine(
    crd: CustomResourceDefinition,
    spec: impl Fn(&mut JSONSchemaProps),
) -> CustomResourceDefinition {
    refine_root(crd, |root| {
        conditions(at(at(root, "status"), "conditions"));
        spec(at(root, "spec"));
    })
}

/// The derived definition with what `whole` says of all of it.
pub(crate) fn refine_root(
    mut crd: CustomResourceDefinition,
    whole: impl Fn(&mut JSONSchemaProps),
) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let root = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut());
        let root = root.expect("the derived definition has a schema");
        root.title = None;
        // A default would be written into stored objects, and every tool that compares them with their source would
        // see a difference.
        forget_defaults(root);
        whole(root);
    }
    crd
}

pub(crate) fn endpoint(holder: &mut JSONSchemaProps) {
    add(holder, rules::ENDPOINT);
    limit(at(holder, "url"), MAX_URL, rules::URL);
    limit(at(holder, "caBundle"), MAX_CA_BUNDLE, &[]);
    let service = at(holder, "service");
    require(service, &["namespace", "name"]);
    limit(at(service, "namespace"), MAX_NAME, &[]);
    limit(at(service, "name"), MAX_NAME, &[]);
    limit(at(service, "path"), MAX_PATH, &[]);
    one_of(at(service, "scheme"), &["http", "https"]);
}

pub(crate) fn directives(schema: &mut JSONSchemaProps) {
    limit(at(schema, "method"), MAX_METHOD, rules::DIRECTIVE_METHOD);
    limit(at(schema, "stripPathPrefix"), MAX_PATH, &[]);
    limit(at(schema, "stripPathSuffix"), MAX_PATH, &[]);
    for (name, of_items) in [
        ("headerUp", rules::HEADER),
        ("headerDown", rules::HEADER),
        ("rewrite", rules::REWRITE),
        ("replace", rules::REPLACE),
        ("pathRegexp", rules::PATH_REGEXP),
    ] {
        let list = at(schema, name);
        atomic(list, MAX_RULES);
        limit(items_of(list), MAX_ITEM, of_items);
    }
    one_of(at(schema, "rewriteLinks"), &["Off", "Markup", "Full"]);
    let list = at(schema, "rewriteBody");
    atomic(list, MAX_BODY_RULES);
    let rule = items_of(list);
    require(rule, &["contentType", "from"]);
    limit(at(rule, "contentType"), MAX_CONTENT_TYPE, rules::CONTENT_TYPE);
    limit(at(rule, "from"), MAX_BODY_TEXT, &[]);
    at(rule, "from").min_length = Some(1);
    limit(at(rule, "to"), MAX_BODY_TEXT, &[]);
    add(schema, rules::LINKS);
}

/// The constraints of `metav1.Condition`, whose own schema has none.
fn conditions(list: &mut JSONSchemaProps) {
    let condition = conditions_by_type(list);
    require(
        condition,
        &["lastTransitionTime", "message", "reason", "status", "type"],
    );
    let reason = at(condition, "reason");
    reason.min_length = Some(1);
    reason.max_length = Some(1024);
    reason.pattern = Some("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$".into());
}

/// What conditions of either shape have in common; the schema of one comes back.
pub(crate) fn conditions_by_type(list: &mut JSONSchemaProps) -> &mut JSONSchemaProps {
    keyed(list, 16, "type");
    let condition = items_of(list);
    let kind = at(condition, "type");
    kind.max_length = Some(316);
    kind.pattern = Some(
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$".into(),
    );
    one_of(at(condition, "status"), &["True", "False", "Unknown"]);
    at(condition, "message").max_length = Some(32_768);
    at(condition, "observedGeneration").minimum = Some(0.0);
    condition
}

/// A list that is written as a whole.
pub(crate) fn atomic(list: &mut JSONSchemaProps, most: i64) {
    list.max_items = Some(most);
    list.x_kubernetes_list_type = Some("atomic".into());
}

/// A list whose items have different values of the field `key`.
pub(crate) fn keyed(list: &mut JSONSchemaProps, most: i64, key: &str) {
    list.max_items = Some(most);
    list.x_kubernetes_list_type = Some("map".into());
    list.x_kubernetes_list_map_keys = Some(vec![key.into()]);
}

/// A text that is one of these words.
pub(crate) fn one_of(schema: &mut JSONSchemaProps, words: &[&str]) {
    schema.nullable = None;
    schema.enum_ = Some(words.iter().map(|word| JSON(json!(word))).collect());
}

pub(crate) fn limit(schema: &mut JSONSchemaProps, most: i64, rules: &[Rule]) {
    schema.max_length = Some(most);
    add(schema, rules);
}

pub(crate) fn add(schema: &mut JSONSchemaProps, rules: &[Rule]) {
    if rules.is_empty() {
        return;
    }
    let rules = rules.iter().map(|rule| ValidationRule {
        rule: rule.expression.into(),
        message: Some(rule.message.into()),
        field_path: rule.field.map(Into::into),
        ..ValidationRule::default()
    });
    schema
        .x_kubernetes_validations
        .get_or_insert_default()
        .extend(rules);
}

pub(crate) fn require(schema: &mut JSONSchemaProps, names: &[&str]) {
    schema.required = Some(names.iter().map(|name| (*name).to_owned()).collect());
}

pub(crate) fn at<'s>(schema: &'s mut JSONSchemaProps, name: &str) -> &'s mut JSONSchemaProps {
    schema
        .properties
        .as_mut()
        .and_then(|properties| properties.get_mut(name))
        .unwrap_or_else(|| panic!("the schema has no property {name}"))
}

pub(crate) fn items_of(schema: &mut JSONSchemaProps) -> &mut JSONSchemaProps {
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(items)) => items,
        _ => panic!("the schema is not that of a list"),
    }
}

pub(crate) fn values_of(schema: &mut JSONSchemaProps) -> &mut JSONSchemaProps {
    match schema.additional_properties.as_mut() {
        Some(JSONSchemaPropsOrBool::Schema(values)) => values,
        _ => panic!("the schema is not that of a map"),
    }
}

fn forget_defaults(schema: &mut JSONSchemaProps) {
    schema.default = None;
    for property in schema.properties.iter_mut().flat_map(|map| map.values_mut()) {
        forget_defaults(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        forget_defaults(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        forget_defaults(values);
    }
}
