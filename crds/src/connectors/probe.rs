//! How a tool is asked whether it is there, and whether it accepts a credential.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One question.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Ask the tool.
    /// Default: none; one of http and api is needed.
    /// Example: {path: /health}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,

    /// Ask the API of the class, which gets the credential: 200 is yes, 401 and 403 are no. A class without an API asks nothing.
    /// Default: none; one of http and api is needed.
    /// Example: {path: /auth/check}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiProbe>,
}

/// A request to the tool.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// Path and query, from the root of the address's host; a template.
    /// Default: none, it is required.
    /// Example: /api/v4/user
    #[serde(default)]
    #[schemars(required)]
    pub path: String,

    /// Another host, with a port if it needs one.
    /// Default: that of the address.
    /// Example: status.example.com
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,

    /// How the host is spoken to: http or https.
    /// Default: as the address where the host is its own, else http.
    /// Example: https
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,

    /// Method of the request: GET or POST.
    /// Default: GET.
    /// Example: POST
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,

    /// Headers of the request, in this order; a name may come again. One whose value renders empty is not sent.
    /// Default: none.
    /// Example: [{name: Private-Token, value: "{{ .Secret.StringData.token }}"}]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http_headers: Vec<HttpHeader>,

    /// Judge a redirect itself instead of where it leads.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_redirect: Option<bool>,

    /// How the answer is judged.
    /// Default: any 2xx is a yes.
    /// Example: {cel: response.statusCode == 200}
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseRule>,
}

/// A header of a probe.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpHeader {
    /// Name of the header.
    /// Default: none, it is required.
    /// Example: Private-Token
    #[serde(default)]
    #[schemars(required)]
    pub name: String,

    /// Its value; a template.
    /// Default: none, it is required.
    /// Example: "{{ .Secret.StringData.token }}"
    #[serde(default)]
    #[schemars(required)]
    pub value: String,
}

/// How an answer is judged.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseRule {
    /// A CEL expression over response.statusCode, response.headers, response.body and response.bodyString; true is a yes.
    /// Default: none; then any 2xx is a yes.
    /// Example: response.body.status == "UP"
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
}

/// A request to the API of the class.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiProbe {
    /// Path behind the address of the API; a template.
    /// Default: none; then the address itself.
    /// Example: /auth/check
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}
