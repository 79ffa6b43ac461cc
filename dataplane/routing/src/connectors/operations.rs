use std::collections::BTreeMap;

use crate::model::{Operation, Provider};

/// What the description of a class declares, for look-up. Segments are compared as they were sent.
#[derive(Debug, Clone, Default)]
pub struct Operations {
    root: Node,
}

/// The operation that a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'o> {
    /// As written, without the slash in front.
    pub template: &'o str,
    /// `None`: the template has no such method.
    pub provider: Option<&'o Provider>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    literals: BTreeMap<Box<str>, Node>,
    parameter: Option<Box<Node>>,
    operation: Option<Box<Operation>>,
}

// === impl Operations ===

impl Operations {
    /// Of two templates of one shape the first stays.
    pub fn new(all: impl IntoIterator<Item = Operation>) -> Self {
        let mut operations = Self::default();
        for operation in all {
            let mut node = &mut operations.root;
            for segment in segments(operation.template.as_bytes()) {
                let segment = String::from_utf8_lossy(segment);
                node = if is_parameter(&segment) {
                    node.parameter.get_or_insert_default()
                } else {
                    node.literals.entry(segment.into()).or_default()
                };
            }
            node.operation.get_or_insert_with(|| Box::new(operation));
        }
        operations
    }

    /// `rest` is what stands behind the name of the Connector. Literals come before parameters, from the left; a slash at
    /// the end makes no difference. `HEAD` and `OPTIONS` are looked up as `GET`.
    pub fn find(&self, method: &str, rest: &[u8]) -> Option<Found<'_>> {
        let segments: Vec<&[u8]> = segments(rest).collect();
        let operation = self.root.find(&segments)?;
        let method = match method {
            "HEAD" | "OPTIONS" => "GET",
            other => other,
        };
        Some(Found {
            template: operation.template.trim_start_matches('/'),
            provider: operation.methods.get(method),
        })
    }
}

// === impl Node ===

impl Node {
    fn find(&self, segments: &[&[u8]]) -> Option<&Operation> {
        let [first, rest @ ..] = segments else {
            return self.operation.as_deref();
        };
        let literal = std::str::from_utf8(first).ok();
        let literal = literal.and_then(|text| self.literals.get(text));
        let found = literal.and_then(|node| node.find(rest));
        found.or_else(|| {
            let node = self.parameter.as_deref().filter(|_| !first.is_empty())?;
            node.find(rest)
        })
    }
}

/// A whole segment in braces.
fn is_parameter(segment: &str) -> bool {
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.is_empty() && !inner.contains(['{', '}']))
}

/// Without the slash in front, and one at the end.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.split(|byte| *byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_operations(templates: &[(&str, &[&str])]) -> Operations {
        Operations::new(templates.iter().map(|(template, methods)| {
            Operation {
                template: (*template).to_owned(),
                methods: methods
                    .iter()
                    .map(|method| ((*method).to_owned(), Provider::Api))
                    .collect(),
            }
        }))
    }

    #[track_caller]
    fn template<'o>(operations: &'o Operations, rest: &str) -> Option<&'o str> {
        operations
            .find("GET", rest.as_bytes())
            .map(|found| found.template)
    }

    #[test]
    fn literals_come_before_parameters_and_a_parameter_takes_one_segment() {
        let all = mk_operations(&[
            ("/api/v4/projects/{id}/custom", &["GET"]),
            ("/api/v4/projects/special/custom", &["GET"]),
            ("/api/v4/projects/special/{what}/more", &["GET"]),
            ("/api/{version}/projects", &["GET"]),
            ("/", &["GET"]),
        ]);
        for (rest, found) in [
            (
                "/api/v4/projects/special/custom",
                Some("api/v4/projects/special/custom"),
            ),
            (
                "/api/v4/projects/other/custom",
                Some("api/v4/projects/{id}/custom"),
            ),
            (
                "/api/v4/projects/a%2Fb/custom/",
                Some("api/v4/projects/{id}/custom"),
            ),
            // The literal leads nowhere here, the parameter does.
            (
                "/api/v4/projects/special/x/more",
                Some("api/v4/projects/special/{what}/more"),
            ),
            ("/api/v9/projects", Some("api/{version}/projects")),
            ("/api/v4/projects/a/b/custom", None),
            ("/api/v4/projects//custom", None),
            ("/api/v4/projects/other/custom//", None),
            ("", Some("")),
            ("/", Some("")),
        ] {
            assert_eq!(template(&all, rest), found, "{rest}");
        }
    }

    #[test]
    fn methods_are_those_of_the_template() {
        let all = mk_operations(&[("/x", &["GET"])]);
        for (method, is_declared) in [("GET", true), ("HEAD", true), ("OPTIONS", true), ("POST", false)] {
            let found = all.find(method, b"/x").unwrap();
            assert_eq!(found.provider.is_some(), is_declared, "{method}");
        }
    }

    #[test]
    fn odd_braces_are_literal() {
        let all = mk_operations(&[("/{a}{b}/x", &["GET"]), ("/{}/y", &["GET"])]);
        assert_eq!(template(&all, "/v/x"), None);
        assert_eq!(template(&all, "/{a}{b}/x"), Some("{a}{b}/x"));
        assert_eq!(template(&all, "/v/y"), None);
    }
}
