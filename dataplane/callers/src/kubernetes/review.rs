use std::collections::BTreeMap;

use genkan_routing::access::Attributes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

// TokenReview and SubjectAccessReview, as far as we write and read them.

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review<S> {
    api_version: &'static str,
    kind: &'static str,
    spec: S,
}

#[derive(Serialize)]
pub struct TokenSpec<'a> {
    token: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    audiences: &'a [String],
}

/// Whom an access review is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub name: &'a str,
    pub uid: &'a str,
    pub groups: &'a [String],
    pub extra: &'a BTreeMap<String, Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessSpec<'a> {
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: &'a BTreeMap<String, Vec<String>>,
    #[serde(flatten)]
    attributes: AttributesSpec<'a>,
}

#[derive(Serialize)]
enum AttributesSpec<'a> {
    #[serde(rename = "resourceAttributes")]
    Resource(BTreeMap<&'static str, &'a str>),
    #[serde(rename = "nonResourceAttributes")]
    NonResource { path: &'a str, verb: &'a str },
}

#[derive(Deserialize)]
struct Reviewed {
    /// A list would pass for a struct without members, and nobody has said no in it.
    status: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub struct TokenStatus {
    pub authenticated: bool,
    pub user: UserInfo,
    pub audiences: Option<Vec<String>>,
    pub error: String,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub struct UserInfo {
    pub username: String,
    pub uid: String,
    pub groups: Option<Vec<String>>,
    pub extra: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct AccessStatus {
    pub allowed: bool,
    pub denied: bool,
    pub evaluation_error: String,
}

// === impl Review ===

impl<'a> Review<TokenSpec<'a>> {
    pub fn of_token(token: &'a str, audiences: &'a [String]) -> Self {
        Self {
            api_version: "authentication.k8s.io/v1",
            kind: "TokenReview",
            spec: TokenSpec { token, audiences },
        }
    }
}

impl<'a> Review<AccessSpec<'a>> {
    pub fn of_access(subject: Subject<'a>, attributes: &'a Attributes<'a>) -> Self {
        let attributes = match attributes {
            Attributes::NonResource { path, verb } => AttributesSpec::NonResource { path, verb },
            Attributes::Resource {
                verb,
                group,
                version,
                resource,
                subresource,
                namespace,
                name,
            } => {
                let all = [
                    ("verb", &**verb),
                    ("group", group),
                    ("version", version),
                    ("resource", resource),
                    ("subresource", subresource),
                    ("namespace", namespace),
                    ("name", name),
                ];
                AttributesSpec::Resource(all.into_iter().filter(|(_, value)| !value.is_empty()).collect())
            }
        };
        Self {
            api_version: "authorization.k8s.io/v1",
            kind: "SubjectAccessReview",
            spec: AccessSpec {
                user: subject.name,
                uid: subject.uid,
                groups: subject.groups,
                extra: subject.extra,
                attributes,
            },
        }
    }
}

/// The status of a review that came back.
///
/// # Errors
/// When it is no review.
pub fn read<S: DeserializeOwned>(answer: &[u8]) -> serde_json::Result<S> {
    let reviewed: Reviewed = serde_json::from_slice(answer)?;
    serde_json::from_value(reviewed.status.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn token_review_names_audiences_only_when_there_are_some() {
        let review = Review::of_token("t", &[]);
        assert_eq!(
            serde_json::to_value(&review).unwrap(),
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": "t" } })
        );
        let audiences = ["a".to_owned()];
        let review = serde_json::to_value(Review::of_token("t", &audiences)).unwrap();
        assert_eq!(review["spec"]["audiences"], json!(["a"]));
    }

    #[test]
    fn access_review_carries_the_whole_identity_and_no_empty_member() {
        let groups = ["g".to_owned()];
        let extra = BTreeMap::from([("k".to_owned(), vec!["v".to_owned()])]);
        let subject = Subject {
            name: "jane",
            uid: "u",
            groups: &groups,
            extra: &extra,
        };
        let path = Attributes::NonResource {
            path: "/proxy/*".into(),
            verb: "get".into(),
        };
        assert_eq!(
            serde_json::to_value(Review::of_access(subject, &path)).unwrap()["spec"],
            json!({ "user": "jane", "uid": "u", "groups": ["g"], "extra": { "k": ["v"] },
                    "nonResourceAttributes": { "path": "/proxy/*", "verb": "get" } })
        );
        let list = Attributes::Resource {
            verb: "list".into(),
            group: "g.io".into(),
            version: "v1".into(),
            resource: "things".into(),
            subresource: "".into(),
            namespace: "".into(),
            name: "".into(),
        };
        let none = BTreeMap::new();
        let nobody = Subject {
            name: "n",
            uid: "",
            groups: &[],
            extra: &none,
        };
        assert_eq!(
            serde_json::to_value(Review::of_access(nobody, &list)).unwrap()["spec"],
            json!({ "user": "n",
                    "resourceAttributes": { "verb": "list", "group": "g.io", "version": "v1", "resource": "things" } })
        );
    }

    #[test]
    fn odd_answers_are_read_without_harm() {
        for odd in [
            r#"{"status":{}}"#,
            r#"{"status":{"authenticated":true,"user":{"groups":null,"extra":null},"audiences":null}}"#,
        ] {
            let status: TokenStatus = read(odd.as_bytes()).unwrap();
            assert!(status.user.username.is_empty());
        }
        for odd in [
            "",
            "[]",
            "{}",
            r#"{"status":[]}"#,
            r#"{"status":null}"#,
            r#"{"status":{"allowed":"yes"}}"#,
        ] {
            assert!(read::<AccessStatus>(odd.as_bytes()).is_err(), "{odd}");
        }
        let status: AccessStatus = read(br#"{"status":{"unknown":1}}"#).unwrap();
        assert!(!status.allowed);
    }
}
