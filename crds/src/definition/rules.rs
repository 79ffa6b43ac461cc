//! The CEL rules: what the API server refuses by itself, and in which words.
//!
//! The words are close to those of the routing library, which judges the same things offline and for objects that were
//! stored before a rule existed. A rule is never stricter than the library.

/// One rule on one place of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The expression; true means valid.
    pub expression: &'static str,
    /// The sentence that the author reads.
    pub message: &'static str,
    /// The field that is blamed, relative to the place, where it is not the place itself.
    pub field: Option<&'static str>,
}

const fn rule(expression: &'static str, message: &'static str) -> Rule {
    Rule {
        expression,
        message,
        field: None,
    }
}

const fn blaming(field: &'static str, expression: &'static str, message: &'static str) -> Rule {
    Rule {
        expression,
        message,
        field: Some(field),
    }
}

/// RFC 9110 `tchar`, for a class.
macro_rules! tchar {
    () => {
        r"!#$%&'*+.^_`|~0-9A-Za-z-"
    };
}

/// The rest of a word in which every closed pair of braces holds one of these names.
macro_rules! word {
    ($names:literal) => {
        concat!(r"(\\[{}]|\{(", $names, r")\}|[^{ ])*(\{[^} ]*)?( |$)")
    };
}

/// The first word of an item.
macro_rules! first {
    ($names:literal) => {
        concat!(r#"self.matches(r"^"#, word!($names), r#"")"#)
    };
}

/// The second word of an item, if there is one.
macro_rules! second {
    ($names:literal) => {
        concat!(r#"self.matches(r"^[^ ]*($| "#, word!($names), r#")")"#)
    };
}

/// What follows the scheme of a URL up to its path: perhaps user info, a host, perhaps a port.
macro_rules! authority {
    () => {
        concat!(
            r"//([^/?#]*@)?([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])",
            port!(),
            r"([/?#]|$)"
        )
    };
}

/// A colon, perhaps with a port, or nothing.
macro_rules! port {
    () => {
        r"(:|:0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    };
}

/// What no path may hold.
macro_rules! path {
    ($of:literal) => {
        concat!(
            "!",
            $of,
            r#".matches(r"(?i)[\x00-\x20\x7f\\]|(/|%2f)(\.|%2e){1,2}(/|%2f|$)|%[01][0-9a-f]|%7f|%5c") && "#,
            $of,
            r#".matches(r"(?i)^([^%]|%[0-9a-f][0-9a-f])*$")"#
        )
    };
}

pub mod connectors;
pub mod gateway;

/// On `spec.matcher.method`.
pub const MATCHER_METHOD: &[Rule] = &[rule(
    concat!(r#"self.matches(r""#, "^[", tchar!(), r#"]+$")"#),
    "not an HTTP method; write one word, such as GET, or * for any",
)];

/// On `spec.directives.method`.
pub const DIRECTIVE_METHOD: &[Rule] = &[
    rule(
        concat!(r#"self.matches(r""#, "^[", tchar!(), r#"]*$")"#),
        "not an HTTP method; write one word, such as GET",
    ),
    rule(
        r#"!self.matches(r"^(?i)(CONNECT|TRACE)$")"#,
        "CONNECT and TRACE are not forwarded: no body can be framed with them; write another method",
    ),
];

/// On `spec.directives`.
pub const LINKS: &[Rule] = &[blaming(
    ".rewriteLinks",
    r#"!has(self.wrapTransport) || !self.wrapTransport || !has(self.rewriteLinks) || self.rewriteLinks != "Off""#,
    "wrapTransport moves links, and Off would not; leave one of them out",
)];

/// On `contentType` of every item of `rewriteBody`.
pub const CONTENT_TYPE: &[Rule] = &[rule(
    r#"self.matches(r"^[a-z0-9!#$&^_.+-]+/([a-z0-9!#$&^_.+-]+|[*])$")"#,
    "no type of a body; write one in lower case and without parameters, such as application/json or text/*",
)];

/// On every item of `headerUp` and `headerDown`.
pub const HEADER: &[Rule] = &[
    rule(
        r#"!self.matches(r"^-\*\*?$")"#,
        "a wildcard alone would remove every header; name a part, for example -X-Internal-*",
    ),
    rule(
        concat!(
            r#"self == "" || self.matches(r"^(-["#,
            tchar!(),
            r"]+$|\+[",
            tchar!(),
            r"]+( |$)|[!#$%&'*.^_`|~0-9A-Za-z][",
            tchar!(),
            r#"]*( |$))")"#
        ),
        "not a header name; write \"Name value\", \"+Name value\" or \"-Name\", without a colon",
    ),
    rule(
        r#"self.startsWith("-") || !self.matches(r"[\x00-\x08\x0a-\x1f\x7f]")"#,
        "a header value must not hold control characters",
    ),
];

/// On every item of `rewrite`.
pub const REWRITE: &[Rule] = &[
    rule(
        concat!(
            r#"self.split(" ")[0].matches(r"(?s)^([^\\\[]|\\.|\[\^?(([^\\\]-]|\\.)(-([^\\\]-]|\\.))?)+\])*$")"#,
            r#" || (self.split(" ")[0].matches(r"^\*?[^*%]*\*?$") && self.split(" ")[0].contains("*"))"#
        ),
        "not a valid pattern: a class is not closed, or a backslash ends it",
    ),
    rule(
        first!(r"(http\.request\.uri\.)?(path|query)"),
        "unknown placeholder; a pattern knows {path} and {query}",
    ),
    rule(
        second!(r"(http\.request\.uri\.)?(path|query)|host|method"),
        UNKNOWN_PLACEHOLDER,
    ),
];

const UNKNOWN_PLACEHOLDER: &str = "unknown placeholder; known are {path}, {query}, {host} and {method}";

/// On every item of `replace`.
pub const REPLACE: &[Rule] = &[
    rule(
        first!(r"(http\.request\.uri\.)?(path|query)|host|method"),
        UNKNOWN_PLACEHOLDER,
    ),
    rule(
        second!(r"(http\.request\.uri\.)?(path|query)|host|method"),
        UNKNOWN_PLACEHOLDER,
    ),
];

/// On every item of `pathRegexp`. A broken expression is an error of evaluation, which refuses the object as well.
pub const PATH_REGEXP: &[Rule] = &[
    rule(
        r#""".matches(self.split(" ")[0]) ? true : true"#,
        "not a regular expression that can be used; there is no look-around and no back-reference",
    ),
    rule(
        r#"self.matches(r"^[^ ]*($| (\$\{[^} ]*\}|\\[{}]|\{((http\.request\.uri\.)?(path|query)|host|method)\}|[^{ ])*(\{[^} ]*)?( |$))")"#,
        "unknown placeholder; known are {path}, {query}, {host} and {method}, and capture groups as ${1} or ${name}",
    ),
];

/// On `url`.
pub const URL: &[Rule] = &[
    rule(
        r#"self.matches(r"^([Hh][Tt][Tt][Pp][Ss]?:)?//")"#,
        "the url must begin with http:// or https://, such as http://grafana.monitoring.svc:3000",
    ),
    rule(
        r#"!self.matches(r"^[^/?#]*//[^/?#]*@")"#,
        "the url has user info; send credentials with headerUp instead",
    ),
    rule(
        r#"!self.matches(r"^[^#]*\?")"#,
        "the url has a query; add one with a rewrite directive instead",
    ),
    rule(r##"!self.contains("#")"##, "the url has a fragment"),
    rule(
        concat!(
            r#"!self.matches(r"^([Hh][Tt][Tt][Pp][Ss]?:)?//") || self.matches(r"^[^/]*"#,
            authority!(),
            r#"")"#
        ),
        "the url needs a host name or IP address, and a port, if any, from 1 to 65535",
    ),
    rule(
        path!("self"),
        "the path of the url has a dot segment, a space, a backslash, a control character or a broken escape",
    ),
];

/// On what a backend sees as `Host`.
pub const HOST: &[Rule] = &[rule(
    r#"(has(self.mode) && self.mode == "Name") == has(self.name)"#,
    "a name goes with mode Name, and mode Name with a name",
)];

pub const HOST_NAME: &[Rule] = &[rule(
    concat!(
        r#"self.matches(r"^([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])"#,
        port!(),
        r#"$")"#
    ),
    "not a host name or IP address, perhaps with a port",
)];

/// On the object that holds `url` and `service`.
pub const ENDPOINT: &[Rule] = &[
    rule(
        "has(self.url) || has(self.service)",
        "nothing says where requests go; set url, or service",
    ),
    blaming(
        ".service.namespace",
        r#"has(self.url) || !has(self.service) || self.service.__namespace__.matches(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")"#,
        "not the name of a namespace",
    ),
    blaming(
        ".service.name",
        r#"has(self.url) || !has(self.service) || self.service.name.matches(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")"#,
        "not the name of a Service",
    ),
    blaming(
        ".service.port",
        "has(self.url) || !has(self.service) || !has(self.service.port) || (self.service.port >= 1 && self.service.port <= 65535)",
        "a port is a number from 1 to 65535",
    ),
    blaming(
        ".service.path",
        r#"has(self.url) || !has(self.service) || !has(self.service.path) || self.service.path.matches(r"^([/?#]|$)")"#,
        "the service path must begin with a slash: it becomes the path of the backend's url",
    ),
    blaming(
        ".service.path",
        r#"has(self.url) || !has(self.service) || !has(self.service.path) || !self.service.path.matches(r"^[^#]*\?")"#,
        "the service path has a query; add one with a rewrite directive instead",
    ),
    blaming(
        ".service.path",
        r##"has(self.url) || !has(self.service) || !has(self.service.path) || !self.service.path.contains("#")"##,
        "the service path has a fragment",
    ),
    blaming(
        ".service.path",
        concat!(
            "has(self.url) || !has(self.service) || !has(self.service.path) || (",
            path!("self.service.path"),
            ")"
        ),
        "the service path has a dot segment, a space, a backslash, a control character or a broken escape",
    ),
];

/// On `spec.group` of an APIService.
pub const GROUP: &[Rule] = &[rule(
    r#"self.matches(r"^([0-9A-Za-z._~-]*[0-9A-Za-z_~-][0-9A-Za-z._~-]*)?$")"#,
    "not an API group: it is one segment of a path, such as shop.example",
)];

/// On `spec.version` of an APIService.
pub const VERSION: &[Rule] = &[rule(
    r#"self.matches(r"^[0-9A-Za-z._~-]*[0-9A-Za-z_~-][0-9A-Za-z._~-]*$")"#,
    "not an API version: it is one segment of a path, such as v1alpha1",
)];
