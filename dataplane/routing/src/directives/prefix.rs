//! What `pathRegexp` and `replace` take off every path, where that can be known.

use super::{DirectiveSpec, Directives, Input};

/// Paths that a backend may be asked for: what is taken off in front of all of them is a prefix.
const PROBES: [&str; 5] = [
    "/",
    "/genkan-probe",
    "/genkan-probe/a.b/",
    "/a/genkan-probe/1",
    "/Q/x-y_z~1/index.html",
];

/// `None`: nothing is, what stripPathPrefix says is enough, or nobody asks.
pub(super) fn known(spec: &DirectiveSpec, directives: &Directives) -> Option<Box<str>> {
    let is_stripped = !directives.strips().is_empty();
    if directives.links.is_off() || is_stripped || !spec.rewrite.is_empty() {
        return None;
    }
    let of_regexps = spec.path_regexp.iter().map(|item| {
        let expression = first_word(item).strip_prefix('^').unwrap_or_default();
        let end = expression.find(is_special).unwrap_or(expression.len());
        &expression[..end]
    });
    let of_texts = spec.replace.iter().map(|item| first_word(item));
    let candidates = of_regexps.chain(of_texts).map(|text| text.trim_end_matches('/'));
    candidates
        .filter(|text| text.starts_with('/') && !text.contains(['%', '{']))
        .find(|prefix| takes_off(directives, prefix))
        .map(Into::into)
}

fn takes_off(directives: &Directives, prefix: &str) -> bool {
    PROBES.iter().all(|probe| {
        let path = [prefix, probe].concat();
        let input = Input {
            method: "GET",
            path: &path,
            query: Some(b"a=1"),
            host: "",
        };
        let made = directives.rewrite_request(input);
        made.is_ok_and(|made| made.target("") == [probe.as_bytes(), b"?a=1"].concat())
    })
}

fn first_word(item: &str) -> &str {
    item.split(' ').next().unwrap_or_default()
}

fn is_special(letter: char) -> bool {
    "\\.+*?()|[]{}^$".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::super::RewriteLinks;
    use super::*;

    #[test]
    fn what_rules_take_off_every_path_is_known() {
        let known = |path_regexp: &[&str], replace: &[&str]| {
            let texts = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
            let spec = DirectiveSpec {
                rewrite_links: RewriteLinks::Markup,
                path_regexp: texts(path_regexp),
                replace: texts(replace),
                ..DirectiveSpec::default()
            };
            let directives = Directives::compile(&spec).unwrap();
            directives.prefix().map(ToOwned::to_owned)
        };
        for expression in [
            "^/proxy/ui/(.*)$ /$1",
            "^/proxy/ui/ /",
            "^/proxy/ui(/.*) $1",
            "^/proxy/ui(/|$) /",
        ] {
            assert_eq!(
                known(&[expression], &[]).as_deref(),
                Some("/proxy/ui"),
                "{expression}"
            );
        }
        for text in ["/proxy/ui/ /", "/proxy/ui "] {
            assert_eq!(known(&[], &[text]).as_deref(), Some("/proxy/ui"), "{text}");
        }
        for expression in [
            "^/proxy/([^/]+)/ /",
            "/proxy/ui/ /other/",
            "^/proxy/ui/ /tools/",
            "^/proxy/ui/(a|b)/ /$1/",
            "^/proxy/ui/[a-z]+ /",
        ] {
            assert_eq!(known(&[expression], &[]), None, "{expression}");
        }
        assert_eq!(known(&[], &["ui /"]), None);
    }

    #[test]
    fn it_is_told_as_it_stands_in_a_path() {
        let spec = DirectiveSpec {
            wrap_transport: true,
            path_regexp: vec!["^/proxy/ui/ /".to_owned()],
            ..DirectiveSpec::default()
        };
        let directives = Directives::compile(&spec).unwrap();
        let stripped = |path| {
            let input = Input {
                method: "GET",
                path,
                query: None,
                host: "",
            };
            directives.rewrite_request(input).unwrap().stripped_prefix
        };
        assert_eq!(stripped("/proxy/ui/a"), Some("/proxy/ui"));
        assert_eq!(stripped("/proxy/uix"), None);
    }
}
