use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use pingora_http::RequestHeader;

use genkan_routing::identity::{extra_header, is_user_header};

use crate::decisions::{Key, Keys, Verdict};
use crate::kubernetes::{Subject, UserInfo};
use crate::proxy::fields;

/// Who calls, however that became known.
#[derive(Debug)]
pub struct User {
    pub name: Arc<str>,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
    /// Those of ours that the token is for; empty: the API server's own.
    pub audiences: Vec<String>,
    /// Stands for all of the identity in questions about it.
    pub digest: Key,
    headers: Result<Vec<(Bytes, HeaderValue)>, Unsendable>,
}

/// A part of the identity that no header can carry unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {0} of this user cannot be told to the backend, for it holds characters that a header cannot carry; \
     use an identity without control characters and without spaces around it"
)]
pub struct Unsendable(&'static str);

pub const ANONYMOUS: &str = "system:anonymous";
/// Kubernetes puts everybody into it who has a name.
pub const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

// === impl User ===

impl User {
    pub fn new(info: UserInfo, audiences: Vec<String>, keys: &Keys) -> Self {
        let groups = info.groups.unwrap_or_default();
        let extra = info.extra.unwrap_or_default();
        let digest = digest(&info.username, &info.uid, &groups, &extra, keys);
        let headers = headers(&info.username, &info.uid, &groups, &extra);
        Self {
            name: info.username.into(),
            uid: info.uid,
            groups,
            extra,
            audiences,
            digest,
            headers,
        }
    }

    /// Nobody in particular.
    pub fn anonymous(keys: &Keys) -> Self {
        let info = UserInfo {
            username: ANONYMOUS.to_owned(),
            groups: Some(vec![UNAUTHENTICATED.to_owned()]),
            ..UserInfo::default()
        };
        Self::new(info, Vec::new(), keys)
    }

    pub fn subject(&self) -> Subject<'_> {
        Subject {
            name: &self.name,
            uid: &self.uid,
            groups: &self.groups,
            extra: &self.extra,
        }
    }

    /// Whether a backend can be told who this is.
    ///
    /// # Errors
    /// What of it cannot.
    pub fn check_sendable(&self) -> Result<(), Unsendable> {
        self.headers
            .as_ref()
            .map(|_| ())
            .map_err(|unsendable| *unsendable)
    }

    /// Says in the headers of a request who this is; nobody else has a say in them.
    ///
    /// # Errors
    /// When a header cannot be written.
    pub fn introduce(&self, request: &mut RequestHeader) -> pingora_core::Result<()> {
        fields::remove_where(request, is_user_header);
        for (name, value) in self.headers.iter().flatten() {
            request.append_header(name.clone(), value.clone())?;
        }
        Ok(())
    }
}

impl Verdict for Option<Arc<User>> {
    fn is_allow(&self) -> bool {
        self.is_some()
    }
}

fn digest(
    name: &str,
    uid: &str,
    groups: &[String],
    extra: &BTreeMap<String, Vec<String>>,
    keys: &Keys,
) -> Key {
    let count = |list: &[String]| (list.len() as u64).to_le_bytes();
    // Lists are told apart by their length in front of them.
    let mut parts: Vec<Vec<u8>> = vec![name.into(), uid.into(), count(groups).to_vec()];
    parts.extend(groups.iter().map(|group| group.clone().into_bytes()));
    for (key, values) in extra {
        parts.push(key.clone().into_bytes());
        parts.push(count(values).to_vec());
        parts.extend(values.iter().map(|value| value.clone().into_bytes()));
    }
    keys.of(parts.iter().map(Vec::as_slice))
}

fn headers(
    name: &str,
    uid: &str,
    groups: &[String],
    extra: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<(Bytes, HeaderValue)>, Unsendable> {
    let mut headers = vec![(Bytes::from_static(b"X-Remote-User"), value(name, "name")?)];
    if !uid.is_empty() {
        headers.push((Bytes::from_static(b"X-Remote-Uid"), value(uid, "uid")?));
    }
    for group in groups {
        headers.push((Bytes::from_static(b"X-Remote-Group"), value(group, "groups")?));
    }
    for (key, values) in extra {
        let header = Bytes::from(extra_header(key));
        HeaderName::from_bytes(&header).map_err(|_| Unsendable("extra"))?;
        for text in values {
            headers.push((header.clone(), value(text, "extra")?));
        }
    }
    Ok(headers)
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
    use super::*;

    fn mk_info() -> UserInfo {
        UserInfo {
            username: "jane".into(),
            uid: "u-1".into(),
            groups: Some(vec!["g1".into(), "system:authenticated".into()]),
            extra: Some(BTreeMap::from([(
                "acme.io/K%".into(),
                vec!["a".into(), "b".into()],
            )])),
        }
    }

    fn introduced(info: UserInfo) -> Vec<(String, String)> {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in [
            ("X-Remote-User", "root"),
            ("X-Remote-Extra-Old", "x"),
            ("X-Other", "1"),
        ] {
            request.append_header(name, value).unwrap();
        }
        User::new(info, Vec::new(), &Keys::default())
            .introduce(&mut request)
            .unwrap();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        request
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    #[test]
    fn backend_is_told_everything_and_only_that() {
        let mut told = introduced(mk_info());
        told.sort();
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
            told,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn nobody_has_no_uid() {
        let keys = Keys::default();
        let anonymous = User::anonymous(&keys);
        assert_eq!(
            (&*anonymous.name, anonymous.groups[0].as_str()),
            (ANONYMOUS, UNAUTHENTICATED)
        );
        let info = UserInfo {
            uid: String::new(),
            ..mk_info()
        };
        assert!(!introduced(info).iter().any(|(name, _)| name == "x-remote-uid"));
    }

    #[test]
    fn what_would_arrive_changed_is_not_sent() {
        let user = |info| User::new(info, Vec::new(), &Keys::default());
        for bad in [
            "a\nb",
            "a\r\nX-Remote-Group: system:masters",
            "\u{7f}",
            "\t",
            " root",
            "root ",
            "a\u{85}b",
        ] {
            assert!(
                user(UserInfo {
                    username: bad.into(),
                    ..mk_info()
                })
                .check_sendable()
                .is_err(),
                "{bad:?}"
            );
            assert!(
                user(UserInfo {
                    groups: Some(vec![bad.into()]),
                    ..mk_info()
                })
                .check_sendable()
                .is_err()
            );
            let extra = Some(BTreeMap::from([("k".into(), vec![bad.into()])]));
            assert!(user(UserInfo { extra, ..mk_info() }).check_sendable().is_err());
        }
        assert!(
            user(UserInfo {
                username: "jörg o'neil".into(),
                ..mk_info()
            })
            .check_sendable()
            .is_ok()
        );
    }

    #[test]
    fn different_identities_have_different_digests() {
        let keys = Keys::default();
        let digest = |info| User::new(info, Vec::new(), &keys).digest;
        let groups = |groups: &[&str]| UserInfo {
            groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
            extra: None,
            ..mk_info()
        };
        let extra = |key: &str, values: &[&str]| UserInfo {
            extra: Some(BTreeMap::from([(
                key.to_owned(),
                values.iter().map(|v| (*v).to_owned()).collect(),
            )])),
            ..mk_info()
        };
        let all = [
            mk_info(),
            UserInfo {
                username: "janeu-1".into(),
                uid: String::new(),
                ..mk_info()
            },
            UserInfo {
                uid: "u-2".into(),
                ..mk_info()
            },
            groups(&["a", "b"]),
            groups(&["b", "a"]),
            groups(&["ab"]),
            groups(&["a"]),
            extra("a", &["b"]),
            extra("a", &["b", "c"]),
            extra("b", &["a"]),
        ];
        let digests: std::collections::HashSet<_> = all.into_iter().map(digest).collect();
        assert_eq!(digests.len(), 10);
        assert_eq!(digest(mk_info()), digest(mk_info()));
    }
}
