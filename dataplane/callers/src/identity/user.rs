use std::collections::BTreeMap;
use std::sync::Arc;

use genkan_routing::decide::Caller;
use genkan_routing::identity::{ANONYMOUS, Introduction, Unsendable};

use crate::decisions::{Cacheable, Key, Keys};
use crate::kubernetes::{Subject, UserInfo};

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
    introduction: Result<Introduction, Unsendable>,
}

/// Kubernetes puts everybody into it who has a name.
pub const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

// === impl User ===

impl User {
    pub fn new(info: UserInfo, audiences: Vec<String>, keys: &Keys) -> Self {
        let groups = info.groups.unwrap_or_default();
        let extra = info.extra.unwrap_or_default();
        let digest = digest(&info.username, &info.uid, &groups, &extra, keys);
        let introduction = Introduction::new(&info.username, &info.uid, &groups, &extra);
        Self {
            name: info.username.into(),
            uid: info.uid,
            groups,
            extra,
            audiences,
            digest,
            introduction,
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

    /// How a backend is told who this is.
    ///
    /// # Errors
    /// What of it cannot be told.
    pub fn introduction(&self) -> Result<&Introduction, Unsendable> {
        self.introduction.as_ref().map_err(|unsendable| *unsendable)
    }
}

impl Cacheable for Option<Arc<User>> {
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

impl Caller for User {
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable> {
        Self::introduction(self).map(Some)
    }

    fn is_anonymous(&self) -> bool {
        *self.name == *ANONYMOUS
    }
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

    #[test]
    fn nobody_has_a_name_and_no_uid() {
        let keys = Keys::default();
        let anonymous = User::anonymous(&keys);
        assert_eq!(
            (&*anonymous.name, anonymous.groups[0].as_str()),
            (ANONYMOUS, UNAUTHENTICATED)
        );
        assert!(anonymous.uid.is_empty());
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
