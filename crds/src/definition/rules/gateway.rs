//! Rules of the kinds of gateway extensions, and of the policies of published objects.

use super::{Rule, blaming, rule};

/// What a step uses: as a pattern, since a rule at every step would cost more than the API server allows.
pub const USE: &str = r"^[A-Za-z0-9_-]{1,63}(@[0-9]{1,9}(\.[0-9]{1,9}){0,2})?$";

/// On a length of time.
pub const DURATION: &[Rule] = &[rule(
    r#"self.matches(r"^([0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h))+$")"#,
    "not a length of time; write a number with ms, s, m or h, such as 30s",
)];

/// On a number of bytes.
pub const BYTES: &[Rule] = &[rule(
    r#"self.matches(r"^[0-9]{1,12}(Ki|Mi|Gi)?$")"#,
    "not a number of bytes; write one with Ki, Mi or Gi, such as 64Ki",
)];

/// On a name under which steps know something.
pub const ALIAS: &[Rule] = &[rule(
    r#"self.matches(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")"#,
    "not a name; write lower-case letters, digits and dashes",
)];

/// On the name of a policy.
pub const POLICY: &[Rule] = &[
    rule(
        r#"self.matches(r"^[A-Za-z0-9_-]{1,63}$")"#,
        "not the name of a policy; write 1 to 63 letters, digits, - and _",
    ),
    rule(
        r#"!(self in ["antivirus", "apiKey", "authorize", "basic", "call", "check", "cors", "countLimit", "decrypt", "encrypt", "enrich", "extAuth", "extProc", "filter", "hmac", "introspect", "jwt", "log", "lookup", "mtls", "rateLimit", "redact", "redirect", "respond", "script", "set", "sign", "switch", "throw", "tokenExchange", "tokenMint", "transform", "validateSchema", "verifySignature"])"#,
        "that is the name of a built-in policy; choose another",
    ),
];

/// On the version of a policy.
pub const VERSION: &[Rule] = &[rule(
    r#"self.matches(r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$")"#,
    "not a version; write three numbers, such as 1.0.0",
)];

/// On the specification of a PolicyDefinition.
pub const DEFINITION: &[Rule] = &[
    blaming(
        ".policy",
        "!has(oldSelf.policy) || (has(self.policy) && self.policy == oldSelf.policy)",
        "the name of a policy never changes; write another PolicyDefinition",
    ),
    blaming(
        ".version",
        "!has(oldSelf.version) || (has(self.version) && self.version == oldSelf.version)",
        "the version of a policy never changes; write another PolicyDefinition",
    ),
    rule(
        "[has(self.steps) && self.steps.size() > 0, has(self.script), has(self.callOut), has(self.entry)].filter(one, one).size() == 1",
        "exactly one of steps, script and callOut is needed",
    ),
];

/// On what the policy of an entry does.
pub const BODY: &[Rule] = &[rule(
    "[has(self.steps) && self.steps.size() > 0, has(self.script), has(self.callOut)].filter(one, one).size() == 1",
    "exactly one of steps, script and callOut is needed",
)];

/// On where bytes come from.
pub const SOURCE: &[Rule] = &[rule(
    "[has(self.inline), has(self.configMap), has(self.secret), has(self.url)].filter(one, one).size() == 1",
    "exactly one of inline, configMap, secret and url is needed",
)];

/// On bytes in the object itself.
pub const INLINE: &[Rule] = &[rule(
    "has(self.text) != has(self.base64)",
    "exactly one of text and base64 is needed",
)];

/// On which key of a ConfigMap is meant.
pub const KEYS: &[Rule] = &[rule(
    "has(self.key) != (has(self.keys) && self.keys.size() > 0)",
    "exactly one of key and keys is needed",
)];

/// On which key of a Secret is meant; without one it is that of the alias.
pub const SECRET_KEYS: &[Rule] = &[rule(
    "!has(self.key) || !has(self.keys) || self.keys.size() == 0",
    "only one of key and keys can be given",
)];

/// On an entry.
pub const ENTRY: &[Rule] = &[rule(
    "[has(self.policy), has(self.hook), has(self.override), has(self.files), has(self.callOut), has(self.source)].filter(one, one).size() <= 1",
    "only one of policy, hook, override, files, callOut and source can be given",
)];

/// On the specification of a GatewayExtension.
pub const EXTENSION: &[Rule] = &[rule(
    "has(self.archive) || (has(self.entries) && self.entries.size() > 0)",
    "an archive or entries are needed",
)];

/// On a hash.
pub const SHA256: &[Rule] = &[rule(
    r#"self.matches(r"^[0-9a-f]{64}$")"#,
    "not a SHA-256; write 64 hexadecimal digits in small letters",
)];

/// On a ratio.
pub const RATIO: &[Rule] = &[rule(
    r#"self.matches(r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$")"#,
    "not a ratio; write a number from 0 to 1 as text, such as \"0.02\"",
)];
