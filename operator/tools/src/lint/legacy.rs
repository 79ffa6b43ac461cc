//! Field names of older versions and of misspelt examples, which live on in blogs, and what they are called now.

use strsim::osa_distance;

/// A field that does not exist, and what to do about it.
struct Old {
    kind: &'static str,
    field: &'static str,
    advice: &'static str,
}

const fn old(kind: &'static str, field: &'static str, advice: &'static str) -> Old {
    Old { kind, field, advice }
}

const ANY: &str = "";

const OLD: &[Old] = &[
    old("APIService", "spec.endpoint", "write spec.url"),
    old("APIService", "spec.backend", "write spec.url"),
    old(
        "APIService",
        "spec.nonResourceURLs",
        "an APIService is only found below /kapis/GROUP/VERSION; remove it, and publish other paths with a ReverseProxy",
    ),
    old("APIService", "spec.caBudle", "write spec.caBundle"),
    old(
        "APIService",
        "spec.upstream",
        "write its url or service directly below spec",
    ),
    old(
        "ReverseProxy",
        "spec.upstream.endpoint",
        "write spec.upstream.url",
    ),
    old("ReverseProxy", "spec.upstream.backend", "write spec.upstream.url"),
    old(
        "ReverseProxy",
        "spec.upstream.caBudle",
        "write spec.upstream.caBundle",
    ),
    old(
        "ReverseProxy",
        "spec.upstream.healthCheck",
        "readiness comes from the Service; remove it",
    ),
    old("ReverseProxy", "spec.url", "write spec.upstream.url"),
    old("ReverseProxy", "spec.service", "write spec.upstream.service"),
    old("ReverseProxy", "spec.path", "write spec.matcher.path"),
    old(
        "ReverseProxy",
        "spec.method",
        "write spec.matcher.method, or spec.directives.method to change it",
    ),
    old(
        "ReverseProxy",
        "spec.header",
        "write spec.directives.headerUp and spec.directives.headerDown, with items such as \"Foo bar\"",
    ),
    old(
        "ReverseProxy",
        "spec.directives.header_up",
        "write spec.directives.headerUp",
    ),
    old(
        "ReverseProxy",
        "spec.directives.header_down",
        "write spec.directives.headerDown",
    ),
    old(
        ANY,
        "status.enabled",
        "genkan writes the status itself; remove it",
    ),
];

/// Fields that stand below `directives` now.
const DIRECTIVES: &[&str] = &[
    "stripPathPrefix",
    "stripPathSuffix",
    "headerUp",
    "headerDown",
    "rewrite",
    "replace",
    "pathRegexp",
    "authProxy",
    "wrapTransport",
    "rejectForwardingRedirects",
];

/// What to write instead of a field that does not exist.
pub(super) fn advice(kind: &str, field: &str) -> Option<String> {
    let known = OLD
        .iter()
        .find(|old| old.field == field && (old.kind == ANY || old.kind == kind));
    if let Some(old) = known {
        return Some(old.advice.to_owned());
    }
    let name = field.strip_prefix("spec.")?;
    (kind == "ReverseProxy" && DIRECTIVES.contains(&name)).then(|| format!("write spec.directives.{name}"))
}

/// Does the field, by an older name, say where requests go?
pub(super) fn names_a_backend(field: &str) -> bool {
    let name = field.rsplit('.').next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    matches!(
        &*name,
        "endpoint" | "backend" | "uri" | "url" | "service" | "upstream"
    )
}

/// The known name that a misspelt one was probably meant to be.
pub(super) fn nearest<'n>(written: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = written.to_ascii_lowercase();
    known
        .map(|name| (osa_distance(&lower, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len() / 4).max(1))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["caBundle", "insecureSkipVerify", "service", "url"];
        assert_eq!(nearest("cabundle", known.into_iter()), Some("caBundle"));
        assert_eq!(nearest("caBudnle", known.into_iter()), Some("caBundle"));
        assert_eq!(nearest("servce", known.into_iter()), Some("service"));
        // Two letters in the wrong order are one slip.
        assert_eq!(nearest("ulr", known.into_iter()), Some("url"));
        assert_eq!(nearest("srevice", known.into_iter()), Some("service"));
        assert_eq!(nearest("uri", known.into_iter()), Some("url"));
        assert_eq!(nearest("timeout", known.into_iter()), None);
    }

    #[test]
    fn directives_have_moved_below_their_own_field() {
        assert_eq!(
            advice("ReverseProxy", "spec.rewrite").unwrap(),
            "write spec.directives.rewrite"
        );
        assert_eq!(advice("APIService", "spec.rewrite"), None);
        assert_eq!(advice("ReverseProxy", "spec.endpoint"), None);
    }
}
