use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::{extra_header, is_user_header};
use crate::headers::HeaderStore;

/// How a backend is told who calls, made once for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    lines: Vec<(Bytes, HeaderValue)>,
}

/// A part of the identity that no header can carry unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {0} of this user cannot be told to the backend, for it holds characters that a header cannot carry, or is too much; \
     use an identity without control characters and without spaces around it"
)]
pub struct Unsendable(&'static str);

const MOST_LINES: usize = 4_096;

// === impl Introduction ===

impl Introduction {
    /// # Errors
    /// What of the identity no header can carry.
    pub fn new(
        name: &str,
        uid: &str,
        groups: &[String],
        extra: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, Unsendable> {
        let mut lines = vec![(Bytes::from_static(b"X-Remote-User"), value(name, "name")?)];
        if !uid.is_empty() {
            lines.push((Bytes::from_static(b"X-Remote-Uid"), value(uid, "uid")?));
        }
        for group in groups {
            lines.push((Bytes::from_static(b"X-Remote-Group"), value(group, "groups")?));
        }
        for (key, values) in extra {
            let header = Bytes::from(extra_header(key));
            HeaderName::from_bytes(&header).map_err(|_| Unsendable("extra"))?;
            for text in values {
                lines.push((header.clone(), value(text, "extra")?));
            }
        }
        // More than any backend reads; a map of headers would take no more at some point, and drop the rest.
        if lines.len() > MOST_LINES {
            return Err(Unsendable("groups and extras"));
        }
        Ok(Self { lines })
    }

    /// Says in the headers of a request who calls; nobody else has a say in them.
    pub fn write(&self, headers: &mut impl HeaderStore) {
        headers.retain(&|name| !is_user_header(name));
        for (name, value) in &self.lines {
            headers.push(name, value);
        }
    }
}

/// What would arrive as something else is not sent: a reader trims the spaces around a value.
fn value(text: &str, of: &'static str) -> Result<HeaderValue, Unsendable> {
    let is_plain = text.trim() == text && !text.chars().any(char::is_control);
    HeaderValue::from_bytes(text.as_bytes())
        .ok()
        .filter(|_| is_plain)
        .ok_or(Unsendable(of))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn mk_extra(key: &str, values: &[&str]) -> BTreeMap<String, Vec<String>> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        BTreeMap::from([(key.to_owned(), values)])
    }

    fn written(uid: &str) -> Vec<(String, String)> {
        let groups = ["g1".to_owned(), "system:authenticated".to_owned()];
        let introduction = Introduction::new("jane", uid, &groups, &mk_extra("acme.io/K%", &["a", "b"]));
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-remote-user", "root"),
            ("x-remote-extra-old", "x"),
            ("x-other", "1"),
        ] {
            HeaderStore::append(&mut headers, name, value.as_bytes());
        }
        introduction.unwrap().write(&mut headers);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut written: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        written.sort();
        written
    }

    #[test]
    fn backend_is_told_everything_and_only_that() {
        let expected = [
            ("x-other", "1"),
            ("x-remote-extra-acme.io%2fk%25", "a"),
            ("x-remote-extra-acme.io%2fk%25", "b"),
            ("x-remote-group", "g1"),
            ("x-remote-group", "system:authenticated"),
            ("x-remote-uid", "u-1"),
            ("x-remote-user", "jane"),
        ];
        assert_eq!(
            written("u-1"),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(!written("").iter().any(|(name, _)| name == "x-remote-uid"));
    }

    #[test]
    fn what_would_arrive_changed_is_not_sent() {
        let none = BTreeMap::new();
        for bad in [
            "a\nb",
            "a\r\nX-Remote-Group: system:masters",
            "\u{7f}",
            "\t",
            " root",
            "root ",
            "a\u{85}b",
        ] {
            assert!(Introduction::new(bad, "", &[], &none).is_err(), "{bad:?}");
            assert!(Introduction::new("jane", bad, &[], &none).is_err(), "{bad:?}");
            assert!(Introduction::new("jane", "", &[bad.into()], &none).is_err());
            assert!(Introduction::new("jane", "", &[], &mk_extra("k", &[bad])).is_err());
        }
        assert!(Introduction::new("jörg o'neil", "", &[], &none).is_ok());
        let groups = vec!["g".to_owned(); MOST_LINES];
        assert!(Introduction::new("jane", "", &groups, &none).is_err());
    }
}
