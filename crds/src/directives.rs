//! What is changed in requests and answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes made to the request on its way to the backend, in the order of these fields, and to the answer on its way back.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Directives {
    /// Method that the backend gets instead of the client's.
    /// Default: the client's.
    /// Example: POST
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,

    /// Text removed from the beginning of the path, where it is there. Written without percent-encoding.
    /// Default: none.
    /// Example: /proxy/grafana
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_path_prefix: Option<String>,

    /// Text removed from the end of the path, where it is there. Written without percent-encoding.
    /// Default: none.
    /// Example: .html
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_path_suffix: Option<String>,

    /// Changes to request headers: "Name value" sets, "+Name value" adds, "-Name" removes; "-Name*", "-*Name" and "-*Name*" remove by pattern.
    /// Default: none.
    /// Example: ["-Authorization", "X-Team shop"]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_up: Option<Vec<String>>,

    /// Changes to response headers, in the form of headerUp.
    /// Default: none.
    /// Example: ["-Server", "Cache-Control no-store"]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_down: Option<Vec<String>>,

    /// Rules "PATTERN TARGET": where the pattern matches the path, path or query become the target. An item that starts with * must be quoted in YAML.
    /// Default: none.
    /// Example: ["/proxy/old/* /new{path}", "* ?{query}&a=b"]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Vec<String>>,

    /// Rules "TEXT REPLACEMENT": every occurrence of the text in path and query is replaced.
    /// Default: none.
    /// Example: ["/docs/ /v1/docs/"]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<Vec<String>>,

    /// Rules "REGEXP REPLACEMENT": every match in the path is replaced; $1 and $name are capture groups.
    /// Default: none.
    /// Example: ["^/proxy/([^/]+)/ /$1/"]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_regexp: Option<Vec<String>>,

    /// Tell the backend who calls, in X-Remote-User, X-Remote-Uid, X-Remote-Group and X-Remote-Extra-*.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_proxy: Option<bool>,

    /// Rewrite links in answers (Location, cookie paths, HTML) so that they stay below the public prefix. As rewriteLinks: Markup, but for style sheets of their own.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_transport: Option<bool>,

    /// Answer 502 when the backend redirects away from its own origin.
    /// Default: false.
    /// Example: true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_forwarding_redirects: Option<bool>,

    /// How far links of answers are moved below the public prefix. Markup: those in headers, HTML, SVG and CSS. Full: those of scripts too, by a script of genkan's in every page, and requests that escape to the root are sent back.
    /// Default: Off; with wrapTransport Markup without files of CSS.
    /// Example: Full
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite_links: Option<String>,

    /// Texts that are put in the place of others in bodies of these types, for links that nothing else finds.
    /// Default: none.
    /// Example: [{contentType: application/json, from: '"root":"/"', to: '"root":"/proxy/ui/"'}]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite_body: Option<Vec<BodyRule>>,
}

/// A text that is put in the place of another.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyRule {
    /// Type of the bodies, in lower case and without parameters; text/* is every text.
    /// Default: none, it is required.
    /// Example: application/json
    #[serde(default)]
    #[schemars(required)]
    pub content_type: String,

    /// What is looked for, byte by byte.
    /// Default: none, it is required.
    /// Example: '"root":"/"'
    #[serde(default)]
    #[schemars(required)]
    pub from: String,

    /// What comes in its place.
    /// Default: nothing.
    /// Example: '"root":"/proxy/ui/"'
    #[serde(default)]
    pub to: String,
}
