//! Whether somebody may, asked of the API server in the words of the data plane.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result, bail};
use genkan_routing::Refused;
use genkan_routing::access::{Attributes, Mode, Questions, Reading, Refusal};
use genkan_routing::decide;
use genkan_routing::identity::{ANONYMOUS, Introduction, Unsendable};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use tokio::runtime::Runtime;

/// Somebody who might send the request.
#[derive(Debug)]
pub struct Caller {
    pub user: String,
    pub uid: String,
    /// With those that Kubernetes adds.
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
    pub mode: Mode,
    pub reviewer: Box<dyn Reviewer>,
}

/// Whoever calls, as a backend is told.
#[derive(Debug)]
pub(super) struct Somebody {
    introduction: Result<Option<Introduction>, Unsendable>,
    is_anonymous: bool,
}

/// Answers access reviews.
pub trait Reviewer: fmt::Debug {
    /// # Errors
    /// When there is no answer.
    fn allows(&self, user: &str, groups: &[String], attributes: &Attributes<'_>) -> Result<bool>;
}

/// The API server.
pub struct ApiServer {
    pub client: Client,
    pub runtime: Runtime,
}

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

// === impl Caller ===

impl Caller {
    /// `groups` are those that were named; Kubernetes puts everybody into some more.
    pub fn new(user: String, named: Vec<String>, mode: Mode, reviewer: Box<dyn Reviewer>) -> Self {
        let mut groups = named;
        if user == ANONYMOUS {
            groups.push("system:unauthenticated".to_owned());
        } else {
            if let Some((namespace, _)) = user
                .strip_prefix(SERVICE_ACCOUNT)
                .and_then(|rest| rest.split_once(':'))
            {
                groups.push("system:serviceaccounts".to_owned());
                groups.push(format!("system:serviceaccounts:{namespace}"));
            }
            groups.push("system:authenticated".to_owned());
        }
        let mut seen = BTreeSet::new();
        groups.retain(|group| seen.insert(group.clone()));
        Self {
            user,
            uid: String::new(),
            groups,
            extra: BTreeMap::new(),
            mode,
            reviewer,
        }
    }

    /// `None` when it is allowed, else what the client is told.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub(super) fn refusal(&self, questions: &Questions<'_>) -> Result<Option<Refused>> {
        for reading in questions.readings() {
            if !self.allows(reading)? {
                let user = &self.user;
                return Ok(Some(Refusal { user, reading }.refused()));
            }
        }
        Ok(None)
    }

    fn allows(&self, reading: Reading<'_>) -> Result<bool> {
        for question in std::iter::once(reading.first).chain(reading.then) {
            if self.reviewer.allows(&self.user, &self.groups, question)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

// === impl Somebody ===

impl Somebody {
    /// `caller` is the one that was named; without names everybody is nobody.
    pub(super) fn new(caller: Option<&Caller>, has_name: bool) -> Self {
        if !has_name {
            let groups = ["system:unauthenticated".to_owned()];
            return Self {
                introduction: Introduction::new(ANONYMOUS, "", &groups, &BTreeMap::new()).map(Some),
                is_anonymous: true,
            };
        }
        let introduce = |c: &Caller| Introduction::new(&c.user, &c.uid, &c.groups, &c.extra);
        Self {
            introduction: caller.map(introduce).transpose(),
            is_anonymous: caller.is_some_and(|caller| caller.user == ANONYMOUS),
        }
    }

    /// Whom a policy has found out.
    pub(super) fn named(user: &str, groups: &[String]) -> Self {
        Self {
            introduction: Introduction::new(user, "", groups, &BTreeMap::new()).map(Some),
            is_anonymous: false,
        }
    }
}

impl decide::Caller for Somebody {
    fn introduction(&self) -> Result<Option<&Introduction>, Unsendable> {
        self.introduction
            .as_ref()
            .map(Option::as_ref)
            .map_err(|unsendable| *unsendable)
    }

    fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }
}

// === impl ApiServer ===

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

impl Reviewer for ApiServer {
    fn allows(&self, user: &str, groups: &[String], attributes: &Attributes<'_>) -> Result<bool> {
        let review = review(user, groups, attributes)?;
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = self
            .runtime
            .block_on(api.create(&PostParams::default(), &review))
            .context(
                "what others may do can be asked only with the right to create subjectaccessreviews.authorization.k8s.io, \
                 which the ClusterRole system:auth-delegator gives",
            )?;
        let status = answer.status.unwrap_or_default();
        if let (false, Some(error)) = (status.allowed, status.evaluation_error) {
            bail!("the API server cannot decide whether this is allowed: {error}");
        }
        Ok(status.allowed && !status.denied.unwrap_or_default())
    }
}

fn review(user: &str, groups: &[String], attributes: &Attributes<'_>) -> Result<SubjectAccessReview> {
    let field = match attributes {
        Attributes::NonResource { .. } => "nonResourceAttributes",
        Attributes::Resource { .. } => "resourceAttributes",
    };
    let fields: BTreeMap<&str, &str> = attributes.fields().collect();
    let spec = json!({ "user": user, "groups": groups, field: fields });
    Ok(serde_json::from_value(json!({ "spec": spec }))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Reviewer for Nobody {
        fn allows(&self, _: &str, _: &[String], _: &Attributes<'_>) -> Result<bool> {
            Ok(false)
        }
    }

    #[test]
    fn everybody_is_in_the_groups_that_kubernetes_adds() {
        for (user, groups) in [
            ("jane", "staff system:authenticated"),
            ("system:anonymous", "staff system:unauthenticated"),
            (
                "system:serviceaccount:shop:cart",
                "staff system:serviceaccounts system:serviceaccounts:shop system:authenticated",
            ),
        ] {
            let named = vec!["staff".into(), "staff".into()];
            let caller = Caller::new(user.into(), named, Mode::Pattern, Box::new(Nobody));
            assert_eq!(caller.groups.join(" "), groups);
        }
    }

    #[test]
    fn reviews_hold_what_is_there() {
        let attributes = Attributes::Resource {
            verb: "list".into(),
            group: "shop.example".into(),
            version: "v1".into(),
            resource: "carts".into(),
            subresource: "".into(),
            namespace: "".into(),
            name: "".into(),
        };
        let spec = serde_json::json!(review("jane", &[], &attributes).unwrap().spec);
        let expected = serde_json::json!({ "verb": "list", "group": "shop.example", "version": "v1", "resource": "carts" });
        assert_eq!(spec["resourceAttributes"], expected);
    }
}
