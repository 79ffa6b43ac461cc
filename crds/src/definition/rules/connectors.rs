//! Rules of the connector kinds. Published manifests pass all of them.

use super::{Rule, blaming, rule};

/// The name of an object, as a pattern.
macro_rules! subdomain {
    () => {
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    };
}

/// The name of a namespace or of a Service, as a pattern.
macro_rules! label {
    () => {
        r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
    };
}

/// On the names of what is declared, given or picked.
pub const NAME: &[Rule] = &[rule(
    r#"self.matches(r"^[^\x00-\x1f\x7f]+$")"#,
    "a name is needed, without control characters; write one, such as token",
)];

/// On `spec.connectorClassName`.
pub const CLASS_NAME: &[Rule] = &[rule(
    concat!(r#"self.matches(r"^"#, subdomain!(), r#"$")"#),
    "not the name of a ConnectorClass; write lower-case letters, digits, dots and dashes",
)];

/// On the name of a Secret.
pub const SECRET_NAME: &[Rule] = &[rule(
    concat!(r#"self == "" || self.matches(r"^"#, subdomain!(), r#"$")"#),
    "not the name of a Secret; write lower-case letters, digits, dots and dashes",
)];

/// On `spec.auth.secretRef`.
pub const SECRET_REFERENCE: &[Rule] = &[
    blaming(
        ".kind",
        r#"!has(self.kind) || self.kind in ["", "Secret"]"#,
        "only a Secret holds a credential; write kind: Secret, or leave it out",
    ),
    blaming(
        ".apiVersion",
        r#"!has(self.apiVersion) || self.apiVersion in ["", "v1"]"#,
        "only a Secret holds a credential; write apiVersion: v1, or leave it out",
    ),
];

/// On every list of parameters, declared or given.
pub const UNIQUE_NAMES: &[Rule] = &[rule(
    "self.all(one, self.exists_one(other, other.name == one.name))",
    "two items have one name; give each its own",
)];

/// On a parameter that is declared.
pub const PARAM_SPEC: &[Rule] = &[blaming(
    ".enum",
    r#"!has(self.enum) || self.enum.size() == 0 || !has(self.type) || self.type == "string""#,
    "only texts can be limited to some values; write type: string, or remove enum",
)];

/// On an address: of a tool, and of what gives tokens.
pub const ADDRESS: &[Rule] = &[
    rule(
        r#"self.matches(r"^[Hh][Tt][Tt][Pp][Ss]?://")"#,
        "an address begins with http:// or https://; write it in full, such as https://git.example.com",
    ),
    rule(
        r#"!self.matches(r"^[^/?#]*//[^/?#]*@")"#,
        "the address has user info; put the credential into the Secret instead",
    ),
    rule(
        r#"!self.matches(r"^[^#]*\?")"#,
        "the address has a query; remove it: callers add their own",
    ),
    rule(
        r##"!self.contains("#")"##,
        "the address has a fragment; remove it",
    ),
    rule(
        concat!(
            r#"!self.matches(r"^[Hh][Tt][Tt][Pp][Ss]?://") || self.matches(r"^[^/]*"#,
            authority!(),
            r#"")"#
        ),
        "the address needs a host name or IP address, and a port, if any, from 1 to 65535",
    ),
    rule(
        path!("self"),
        "the path of the address has a dot segment, a space, a backslash, a control character or a broken escape",
    ),
];

/// On `uri` of API and proxy of a class.
pub const URI: &[Rule] = &[
    rule(
        r#"self.matches(r"^[Hh][Tt][Tt][Pp][Ss]?://") || !self.matches(r"^([^/?#]*:|//)")"#,
        "the uri is neither a URL, which begins with http:// or https://, nor a path behind the Service, such as /v1",
    ),
    rule(
        r#"!self.matches(r"^[^/?#]*//[^/?#]*@")"#,
        "the uri has user info; remove it: the service gets the Secret of the Connector",
    ),
    rule(
        r##"!self.contains("?") && !self.contains("#")"##,
        "the uri has a query or a fragment; remove it",
    ),
    rule(
        concat!(
            r#"!self.matches(r"^[Hh][Tt][Tt][Pp][Ss]?://") || self.matches(r"^[^/]*"#,
            authority!(),
            r#"")"#
        ),
        "the uri needs a host name or IP address, and a port, if any, from 1 to 65535",
    ),
    rule(
        path!("self"),
        "the path of the uri has a dot segment, a space, a backslash, a control character or a broken escape",
    ),
];

/// On `ref` of API and proxy of a class.
pub const SERVICE: &[Rule] = &[
    blaming(
        ".name",
        concat!(r#"self.name.matches(r"^"#, label!(), r#"$")"#),
        "not the name of a Service; write it without its namespace",
    ),
    blaming(
        ".namespace",
        concat!(
            r#"!has(self.__namespace__) || self.__namespace__ == "" || self.__namespace__.matches(r"^"#,
            label!(),
            r#"$")"#
        ),
        "not the name of a namespace; write lower-case letters, digits and dashes",
    ),
];

/// On an auth type.
pub const AUTH_TYPE: &[Rule] = &[
    blaming(
        ".secretType",
        r#"!has(self.secretType) || self.secretType != "kubernetes.io/service-account-token""#,
        "tokens of ServiceAccounts are never sent to a tool; write another type",
    ),
    blaming(
        ".params",
        concat!(
            r#"!has(self.secretType) || (has(self.params) && self.params.size() > 0)"#,
            r#" || (self.secretType.startsWith("kubernetes.io/") && self.secretType != "kubernetes.io/opaque")"#,
            r#" || self.secretType in ["", "connectors.cpaas.io/bearer-token", "connectors.cpaas.io/gitlab-pat-auth","#,
            r#" "cpaas.io/distribution-registry-token"]"#
        ),
        "Secrets of this type may hold anything; write in params which keys they need, such as [{name: token}]",
    ),
];

/// On a generator.
pub const GENERATOR: &[Rule] = &[rule(
    "has(self.rego) != has(self.oauth2)",
    "a credential is made in one way; write one of rego and oauth2",
)];

/// On a probe.
pub const PROBE: &[Rule] = &[rule(
    "!(has(self.http) && has(self.api))",
    "a probe asks one place; write one of http and api",
)];

/// On the path of a probe, which is a template.
pub const PROBE_PATH: &[Rule] = &[rule(
    r#"self.startsWith("/") || self.startsWith("{{")"#,
    "the path begins with a slash; write it from the root, such as /health",
)];

/// On the host of a probe.
pub const PROBE_HOST: &[Rule] = &[rule(
    concat!(
        r#"self == "" || self.matches(r"^([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])"#,
        port!(),
        r#"$")"#
    ),
    "not a host; write its name or IP address, and a port if it needs one, without scheme and path",
)];

/// On the name of a header of a probe.
pub const HEADER_NAME: &[Rule] = &[rule(
    concat!(r#"self.matches(r"^["#, tchar!(), r#"]+$")"#),
    "not the name of a header; write one word without a colon, such as Private-Token",
)];

/// On `spec` of a Connector.
pub const CONNECTOR: &[Rule] = &[blaming(
    ".addressExtensions",
    "!has(self.address) || !has(self.addressExtensions) || self.addressExtensions.all(one, one.value != self.address)",
    "an address extension repeats the address; give it one of its own, or leave it out",
)];

/// All of them.
pub const ALL: &[&[Rule]] = &[
    NAME,
    CLASS_NAME,
    SECRET_NAME,
    SECRET_REFERENCE,
    UNIQUE_NAMES,
    PARAM_SPEC,
    ADDRESS,
    URI,
    SERVICE,
    AUTH_TYPE,
    GENERATOR,
    PROBE,
    PROBE_PATH,
    PROBE_HOST,
    HEADER_NAME,
    CONNECTOR,
];
