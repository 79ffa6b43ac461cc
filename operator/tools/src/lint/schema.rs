//! What the schema of a definition says about a value: unknown and missing fields, types, limits.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use super::document::Document;
use super::{Level, Remark, legacy};

/// Checks spec and status. The fields that do not exist come back.
pub(super) fn check(
    document: &Document<'_>,
    crd: &CustomResourceDefinition,
    remarks: &mut Vec<Remark>,
) -> Vec<String> {
    let schema = crd
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.as_ref());
    let Some(root) = schema.and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
        return Vec::new();
    };
    let mut walk = Walk {
        document,
        kind: &crd.spec.names.kind,
        remarks,
        unknown: Vec::new(),
    };
    let mut top = root.clone();
    for name in ["apiVersion", "kind", "metadata"] {
        top.properties
            .get_or_insert_default()
            .insert(name.to_owned(), JSONSchemaProps::default());
    }
    walk.visit(&top, &document.value, "");
    walk.unknown
}

struct Walk<'w, 't> {
    document: &'w Document<'t>,
    kind: &'w str,
    remarks: &'w mut Vec<Remark>,
    unknown: Vec<String>,
}

// === impl Walk ===

impl Walk<'_, '_> {
    fn visit(&mut self, schema: &JSONSchemaProps, value: &Value, field: &str) {
        if value.is_null() {
            return;
        }
        match (schema.type_.as_deref(), value) {
            (Some("object"), Value::Object(members)) => self.visit_object(schema, members, field),
            (Some("array"), Value::Array(items)) => self.visit_list(schema, items, field),
            (Some("string"), Value::String(text)) => self.visit_text(schema, text, field),
            (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some("integer"), Value::Number(number)) if number.is_i64() => {}
            (Some(expected), found) => {
                let message = mismatch(field, expected, found);
                self.error(field, message);
            }
        }
    }

    fn visit_object(
        &mut self,
        schema: &JSONSchemaProps,
        members: &serde_json::Map<String, Value>,
        field: &str,
    ) {
        let properties = schema.properties.as_ref();
        for (name, value) in members {
            let below = join(field, name);
            match properties.and_then(|properties| properties.get(name)) {
                Some(schema) => self.visit(schema, value, &below),
                None => self.other(schema, name, value, below),
            }
        }
        if let Some(most) = schema.max_properties
            && i64::try_from(members.len()).is_ok_and(|length| length > most)
        {
            let text = format!("has {} members; at most {most} are allowed", members.len());
            self.error(field, text);
        }
        let has = |name: &String| members.get(name).is_some_and(|value| !value.is_null());
        for missing in schema.required.iter().flatten().filter(|name| !has(name)) {
            let below = join(field, missing);
            self.error(&below, "is required and missing".to_owned());
        }
    }

    /// A member that has no name in the schema.
    fn other(&mut self, schema: &JSONSchemaProps, name: &str, value: &Value, field: String) {
        match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(of_all)) => self.visit(of_all, value, &field),
            Some(JSONSchemaPropsOrBool::Bool(true)) => {}
            Some(JSONSchemaPropsOrBool::Bool(false)) | None
                if schema.x_kubernetes_preserve_unknown_fields == Some(true) => {}
            Some(JSONSchemaPropsOrBool::Bool(false)) | None => self.unknown(schema, name, field),
        }
    }

    fn unknown(&mut self, schema: &JSONSchemaProps, name: &str, field: String) {
        let advice = legacy::advice(self.kind, &field).unwrap_or_else(|| {
            let known = schema.properties.iter().flatten().map(|(name, _)| name.as_str());
            match legacy::nearest(name, known) {
                Some(known) => format!("did you mean {known}?"),
                None => "remove it".to_owned(),
            }
        });
        self.error(&field, format!("there is no such field; {advice}"));
        self.unknown.push(field);
    }

    fn visit_list(&mut self, schema: &JSONSchemaProps, items: &[Value], field: &str) {
        if let Some(most) = schema.max_items
            && i64::try_from(items.len()).is_ok_and(|length| length > most)
        {
            self.error(
                field,
                format!("has {} items; at most {most} are allowed", items.len()),
            );
        }
        if let Some(JSONSchemaPropsOrArray::Schema(of_items)) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.visit(of_items, item, &format!("{field}[{index}]"));
            }
        }
    }

    fn visit_text(&mut self, schema: &JSONSchemaProps, text: &str, field: &str) {
        let length = text.chars().count();
        if let Some(most) = schema.max_length
            && i64::try_from(length).is_ok_and(|length| length > most)
        {
            self.error(
                field,
                format!("has {length} characters; at most {most} are allowed"),
            );
        }
        let words: Vec<&str> = schema
            .enum_
            .iter()
            .flatten()
            .filter_map(|word| word.0.as_str())
            .collect();
        if !words.is_empty() && !words.contains(&text) {
            self.error(
                field,
                format!("{text:?} is not known; write {}", words.join(" or ")),
            );
        }
    }

    fn error(&mut self, field: &str, message: String) {
        self.remarks
            .push(self.document.remark(Level::Error, field, message));
    }
}

fn mismatch(field: &str, expected: &str, found: &Value) -> String {
    match (expected, found) {
        ("object", Value::Array(_)) if field == "spec.matcher" => {
            "is a list, but takes one path and one method; write a map, and another ReverseProxy for each further item".into()
        }
        ("object", Value::Array(_)) => "is a list, but must be a map".into(),
        ("string", Value::Object(map)) => match map.iter().next() {
            Some((name, Value::String(value))) => {
                format!("is a map, because of the colon; write \"{name} {value}\"")
            }
            _ => "is a map, but must be text; quote it".into(),
        },
        ("string", Value::Number(_) | Value::Bool(_)) => format!("must be text; quote it: \"{found}\""),
        ("string", Value::Array(_)) => "is a list, but must be text".into(),
        ("array", Value::String(_)) => "must be a list; write it as an item, behind \"- \"".into(),
        ("array", _) => "must be a list".into(),
        ("integer", Value::String(text)) if text.parse::<i64>().is_ok() => {
            format!("must be a number; remove the quotes: {text}")
        }
        ("integer", _) => "must be a whole number".into(),
        ("boolean", _) => "must be true or false, without quotes".into(),
        _ => format!("must be of type {expected}"),
    }
}

fn join(field: &str, name: &str) -> String {
    if field.is_empty() {
        name.to_owned()
    } else {
        format!("{field}.{name}")
    }
}
