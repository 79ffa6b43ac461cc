use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY};
use pingora_http::ResponseHeader;

use genkan_routing::links::policy::Verdict;
use genkan_routing::links::text::Language;

use super::markup::{Addition, imports_of};
use super::prefix::OwnPrefix;

/// What a page gets so that links which scripts make stay below the prefix.
#[derive(Debug)]
pub struct Script {
    text: String,
    imports: String,
}

/// A function of the prefix, the base path of the backend and its host.
const LINKS: &str = include_str!("links.js");

// === impl Script ===

impl Script {
    /// `None`: there is no prefix to stay below.
    pub fn for_prefix(prefix: &OwnPrefix) -> Option<Self> {
        let (prefix, base, host) = prefix.parts();
        if prefix.is_empty() {
            return None;
        }
        let quoted = |text: &str| format!("\"{}\"", Language::Json.escape(text));
        let (prefix, below) = (quoted(prefix), quoted(&[prefix, "/"].concat()));
        Some(Self {
            text: format!(
                "{}({prefix},{},{});",
                LINKS.trim_end(),
                quoted(base),
                quoted(host)
            ),
            // What is below already stays there.
            imports: format!("\"/\":{below},{below}:{below}"),
        })
    }

    /// Lets a page that allows scripts allow this one, by its hash. `None`: the page is one without scripts.
    pub fn allow(self, response: &mut ResponseHeader) -> Option<Addition> {
        let hashes = format!("{} {}", source(&self.text), source(&imports_of(&self.imports)));
        let enforced = extended(response, CONTENT_SECURITY_POLICY, &hashes)?;
        let reported = extended(response, CONTENT_SECURITY_POLICY_REPORT_ONLY, &hashes);
        put(response, CONTENT_SECURITY_POLICY, enforced);
        put(response, CONTENT_SECURITY_POLICY_REPORT_ONLY, reported.flatten());
        Some(Addition {
            script: format!("<script>{}</script>", self.text),
            imports: self.imports,
        })
    }
}

/// A text as policies name it.
fn source(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest))
}

/// All lines of a policy, if one has to be another; outside, `None`: one forbids all scripts.
fn extended(response: &ResponseHeader, name: HeaderName, hashes: &str) -> Option<Option<Vec<HeaderValue>>> {
    let (mut lines, mut is_other) = (Vec::new(), false);
    for line in response.headers.get_all(name) {
        // One that cannot be read as a text allows nothing that is known.
        match Verdict::of(line.to_str().ok()?, hashes) {
            Verdict::Allowed => lines.push(line.clone()),
            Verdict::Extended(policy) => {
                is_other = true;
                lines.push(HeaderValue::try_from(policy).ok()?);
            }
            Verdict::Forbidden => return None,
        }
    }
    Some(is_other.then_some(lines))
}

fn put(response: &mut ResponseHeader, name: HeaderName, lines: Option<Vec<HeaderValue>>) {
    let Some(lines) = lines else { return };
    response.remove_header(&name);
    for line in lines {
        // Adding a value cannot fail: the name is one.
        let _ = response.append_header(name.clone(), line);
    }
}

#[cfg(test)]
mod tests {
    use genkan_routing::Scheme;
    use genkan_routing::links::PublicPrefix;

    use super::*;

    fn mk_script(prefix: &str) -> Option<Script> {
        let prefix = PublicPrefix::new("", Some(prefix), Scheme::Http, "b.example:81");
        Script::for_prefix(&OwnPrefix::new(&prefix, None))
    }

    #[test]
    fn a_page_with_a_policy_allows_the_script_by_its_hash() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for policy in ["default-src 'self'", "script-src 'self' 'unsafe-inline'"] {
            response.append_header(CONTENT_SECURITY_POLICY, policy).unwrap();
        }
        let script = mk_script("/proxy/ui").unwrap();
        let text = script.text.clone();
        let addition = script.allow(&mut response).unwrap();
        assert_eq!(addition.script, format!("<script>{text}</script>"));
        let policies: Vec<_> = response.headers.get_all(CONTENT_SECURITY_POLICY).iter().collect();
        let hash = source(&text);
        assert!(policies[0].to_str().unwrap().contains(&hash), "{policies:?}");
        assert_eq!(policies[1], "script-src 'self' 'unsafe-inline'");
    }

    #[test]
    fn a_page_without_scripts_gets_none() {
        for policy in ["default-src 'none'", "sandbox"] {
            let mut response = ResponseHeader::build(200, None).unwrap();
            response.append_header(CONTENT_SECURITY_POLICY, policy).unwrap();
            assert!(mk_script("/proxy/ui").unwrap().allow(&mut response).is_none());
            assert_eq!(response.headers[CONTENT_SECURITY_POLICY], policy);
        }
        assert!(mk_script("").is_none());
    }

    #[test]
    fn the_script_ends_no_element_and_no_text() {
        let script = mk_script("/proxy/o\"<x").unwrap();
        assert!(
            script
                .text
                .contains("(\"/proxy/o\\\"\\u003cx\",\"\",\"b.example:81\");")
        );
        assert!(!LINKS.contains("</"));
    }
}
