use http::HeaderValue;
use serde_json::json;

use super::Answer;
use crate::answer::reason;
use crate::decide::{self, login};
use crate::model::connector::FLAGS;
use crate::version::priority;

impl From<decide::Answer<'_>> for Answer {
    fn from(answer: decide::Answer<'_>) -> Self {
        match answer {
            decide::Answer::Refused(refused) | decide::Answer::Escaped { refused, .. } => refused.into(),
            decide::Answer::Unsupported(refused) => Self::of(refused.code, refused.reason, refused.message),
            decide::Answer::Unavailable { title, why } => {
                Self::status(503, why.reason.clone(), format!("{title}: {}", why.message))
            }
            decide::Answer::Redirect { location } => match HeaderValue::from_bytes(&location) {
                Ok(location) => Self::redirect(location),
                Err(_) => decide::Answer::nothing().into(),
            },
            decide::Answer::ToApp { location } => match HeaderValue::from_bytes(&location) {
                Ok(location) => Self::elsewhere(307, reason::TO_APP, location),
                Err(_) => decide::Answer::nothing().into(),
            },
            // Whoever has the key does not ask here.
            decide::Answer::LogIn(_) | decide::Answer::Redeem { .. } => login::unavailable().into(),
            decide::Answer::Moved { location } => match HeaderValue::from_bytes(&location) {
                Ok(location) => Self::moved(location),
                Err(_) => decide::Answer::nothing().into(),
            },
            decide::Answer::FeatureFlags(on) => {
                let value = |flag: &str| json!(on.iter().any(|on| on == flag).to_string());
                let flags: serde_json::Map<_, _> = FLAGS
                    .into_iter()
                    .map(|flag| (flag.to_owned(), value(flag)))
                    .collect();
                Self::json(serde_json::Value::from(flags).to_string())
            }
            decide::Answer::ApiGroup { group, versions } => {
                let mut body = group_json(group, &versions);
                body["kind"] = json!("APIGroup");
                body["apiVersion"] = json!("v1");
                Self::json(body.to_string())
            }
            decide::Answer::ApiGroupList(groups) => {
                let groups: Vec<_> = groups
                    .iter()
                    .map(|(group, versions)| group_json(group, versions))
                    .collect();
                let list = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups });
                Self::json(list.to_string())
            }
        }
    }
}

fn group_json(group: &str, versions: &[&str]) -> serde_json::Value {
    let json = |version: &&str| json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    let preferred = versions.iter().max_by_key(|version| priority(version)).map(json);
    let versions: Vec<_> = versions.iter().map(json).collect();
    json!({ "name": group, "preferredVersion": preferred, "versions": versions })
}
