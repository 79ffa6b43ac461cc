//! Schemas of what the API server stores as it is.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Of any value.
pub(crate) fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"nullable": true, "x-kubernetes-preserve-unknown-fields": true})
}

/// Of any object.
pub(crate) fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true})
}
