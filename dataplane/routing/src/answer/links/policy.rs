//! `Content-Security-Policy`, so that a page which allows some scripts allows those of genkan, and nothing else that it did
//! not allow before.

/// What a policy says of a script that stands in the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs as things are.
    Allowed,
    /// It runs with this policy, which allows by its hash what was forbidden.
    Extended(String),
    /// No script at all is meant to run.
    Forbidden,
}

/// Which directive speaks of it, the first that there is.
const SPEAKING: [&str; 3] = ["script-src-elem", "script-src", "default-src"];

// === impl Verdict ===

impl Verdict {
    /// `value` is one line of the header, which may hold several policies, and `hashes` the sources of the scripts.
    pub fn of(value: &str, hashes: &str) -> Self {
        let mut policies = Vec::new();
        let mut is_extended = false;
        for policy in value.split(',') {
            match of_policy(policy, hashes) {
                Self::Allowed => policies.push(policy.to_owned()),
                Self::Extended(policy) => {
                    is_extended = true;
                    policies.push(policy);
                }
                Self::Forbidden => return Self::Forbidden,
            }
        }
        match is_extended {
            true => Self::Extended(policies.join(",")),
            false => Self::Allowed,
        }
    }
}

/// Whether texts in the page may be allowed by their hash, so that each of them has to stay as it is.
pub fn knows_hashes(value: &str) -> bool {
    sources(value).any(is_hash)
}

fn of_policy(policy: &str, hashes: &str) -> Verdict {
    if let Some((_, flags)) = directive(policy, "sandbox")
        && !sources(flags).any(|flag| flag.eq_ignore_ascii_case("allow-scripts"))
    {
        return Verdict::Forbidden;
    }
    let found = SPEAKING.into_iter().find_map(|name| directive(policy, name));
    let Some((whole, listed)) = found else {
        return Verdict::Allowed;
    };
    let is = |word: &str| sources(listed).any(|source| source.eq_ignore_ascii_case(word));
    let mut named = sources(listed).filter(|source| !is_flag(source)).peekable();
    if named.peek().is_none() || named.all(|source| source.eq_ignore_ascii_case("'none'")) {
        return Verdict::Forbidden;
    }
    let is_strict =
        is("'strict-dynamic'") || sources(listed).any(|source| is_hash(source) || is_nonce(source));
    if is("'unsafe-inline'") && !is_strict {
        // A hash would take that away.
        return Verdict::Allowed;
    }
    let begins = |name: &str| name_of(whole).eq_ignore_ascii_case(name);
    Verdict::Extended(match begins("default-src") {
        // Of everything else it says what it said.
        true => format!(
            "{}; script-src {} {hashes}",
            policy.trim_end_matches([' ', ';']),
            listed.trim()
        ),
        false => {
            let end = offset(policy, whole) + whole.trim_end().len();
            format!("{} {hashes}{}", &policy[..end], &policy[end..])
        }
    })
}

/// The first directive of a name, whole and behind its name: later ones do not count.
fn directive<'p>(policy: &'p str, name: &str) -> Option<(&'p str, &'p str)> {
    let whole = policy
        .split(';')
        .find(|directive| name_of(directive).eq_ignore_ascii_case(name))?;
    let behind = whole.trim_start().get(name.len()..).unwrap_or_default();
    Some((whole, behind))
}

fn name_of(directive: &str) -> &str {
    sources(directive).next().unwrap_or_default()
}

fn sources(list: &str) -> impl Iterator<Item = &str> {
    list.split(|letter: char| letter.is_ascii_whitespace() || letter == ';' || letter == ',')
        .filter(|word| !word.is_empty())
}

fn is_hash(source: &str) -> bool {
    ["'sha256-", "'sha384-", "'sha512-"]
        .iter()
        .any(|start| begins(source, start))
}

fn is_nonce(source: &str) -> bool {
    begins(source, "'nonce-")
}

fn begins(source: &str, start: &str) -> bool {
    source
        .get(..start.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

/// It allows no script by itself.
fn is_flag(source: &str) -> bool {
    [
        "'report-sample'",
        "'unsafe-hashes'",
        "'strict-dynamic'",
        "'wasm-unsafe-eval'",
        "'unsafe-eval'",
    ]
    .iter()
    .any(|flag| source.eq_ignore_ascii_case(flag))
}

/// Where a part of a text stands in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_extended_and_never_loosened() {
        for (policy, extended) in [
            ("script-src 'self'", "script-src 'self' 'sha256-x'"),
            (
                "script-src 'self'; style-src *",
                "script-src 'self' 'sha256-x'; style-src *",
            ),
            (
                "img-src *; Script-Src-Elem a.example ; script-src 'unsafe-inline'",
                "img-src *; Script-Src-Elem a.example 'sha256-x' ; script-src 'unsafe-inline'",
            ),
            (
                "default-src 'self'; img-src *;",
                "default-src 'self'; img-src *; script-src 'self' 'sha256-x'",
            ),
            (
                "script-src 'nonce-a' 'strict-dynamic' 'unsafe-inline' https:",
                "script-src 'nonce-a' 'strict-dynamic' 'unsafe-inline' https: 'sha256-x'",
            ),
            (
                "script-src 'sha384-b' 'unsafe-inline'",
                "script-src 'sha384-b' 'unsafe-inline' 'sha256-x'",
            ),
            ("img-src *, script-src a", "img-src *, script-src a 'sha256-x'"),
            (
                "script-src a; script-src 'none'",
                "script-src a 'sha256-x'; script-src 'none'",
            ),
            (
                "sandbox allow-scripts; script-src a",
                "sandbox allow-scripts; script-src a 'sha256-x'",
            ),
        ] {
            let verdict = Verdict::of(policy, "'sha256-x'");
            assert_eq!(verdict, Verdict::Extended(extended.to_owned()), "{policy}");
        }
        for policy in [
            "",
            "img-src 'self'",
            "script-src 'self' 'unsafe-inline'",
            "default-src 'self' 'unsafe-inline' 'unsafe-eval'",
            "script-src-elem 'unsafe-inline'; script-src 'none'",
        ] {
            assert_eq!(Verdict::of(policy, "'sha256-x'"), Verdict::Allowed, "{policy}");
        }
        for policy in [
            "script-src 'none'",
            "default-src 'none'",
            "script-src",
            "script-src 'report-sample'",
            "sandbox",
            "sandbox allow-forms",
            "script-src 'self', sandbox",
        ] {
            assert_eq!(Verdict::of(policy, "'sha256-x'"), Verdict::Forbidden, "{policy}");
        }
        assert!(knows_hashes("style-src 'SHA256-abc'") && !knows_hashes("style-src 'self'"));
    }
}
