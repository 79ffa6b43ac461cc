//! What PodDisruptionBudgets say about the Pods of the data plane.

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Those of one namespace, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Budgets {
    /// There is no Kubernetes to have any.
    #[default]
    None,
    /// They have not been listed yet.
    Unknown,
    /// The operator may not list those of this namespace.
    NotPermitted(String),
    Known(Vec<Budget>),
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    pub name: String,
    selector: Option<LabelSelector>,
    /// A Pod of it may be taken now.
    allows: bool,
}

// === impl Budgets ===

impl Budgets {
    /// Why none of these Pods may be taken now, each given by its labels.
    pub fn held<'p>(&self, pods: impl Iterator<Item = &'p BTreeMap<String, String>>) -> Option<String> {
        match self {
            Self::None => None,
            Self::Unknown => Some("it waits until PodDisruptionBudgets are known".to_owned()),
            Self::NotPermitted(namespace) => Some(format!(
                "the operator may not list PodDisruptionBudgets in namespace {namespace}; give it the right"
            )),
            Self::Known(budgets) => {
                let pods: Vec<_> = pods.collect();
                let covers = |budget: &&Budget| pods.iter().any(|labels| budget.covers(labels));
                let full = budgets.iter().filter(|budget| !budget.allows).find(covers)?;
                let name = &full.name;
                Some(format!(
                    "it waits for PodDisruptionBudget {name}, which allows no disruption now"
                ))
            }
        }
    }
}

// === impl Budget ===

impl Budget {
    pub fn of(budget: PodDisruptionBudget) -> Self {
        let status = budget.status.unwrap_or_default();
        // What was counted before the last edit says nothing.
        let is_counted =
            status.observed_generation.unwrap_or_default() >= budget.metadata.generation.unwrap_or_default();
        Self {
            name: budget.metadata.name.unwrap_or_default(),
            selector: budget.spec.and_then(|spec| spec.selector),
            allows: is_counted && status.disruptions_allowed > Some(0),
        }
    }

    /// An empty selector is about every Pod; none is about no Pod.
    fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        let Some(selector) = &self.selector else {
            return false;
        };
        let mut equal = selector.match_labels.iter().flatten();
        let mut said = selector.match_expressions.iter().flatten();
        equal.all(|(name, value)| labels.get(name) == Some(value)) && said.all(|one| holds(one, labels))
    }
}

fn holds(said: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&said.key);
    let is_one = || {
        let values = said.values.iter().flatten();
        value.is_some_and(|value| values.into_iter().any(|other| other == value))
    };
    match said.operator.as_str() {
        "In" => is_one(),
        "NotIn" => !is_one(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        // The API server takes no other.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mk_budget(selector: Value, status: Value) -> Budget {
        let budget = json!({
            "metadata": {"name": "pdb", "generation": 2},
            "spec": {"selector": selector},
            "status": status,
        });
        Budget::of(serde_json::from_value(budget).unwrap())
    }

    fn mk_status(allowed: i32, observed: i64) -> Value {
        json!({
            "disruptionsAllowed": allowed, "observedGeneration": observed,
            "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1,
        })
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn only_a_budget_of_these_pods_that_is_used_up_holds_them() {
        let pods = [labels(&[("app", "genkan"), ("tier", "edge")])];
        let held = |budgets: Vec<Budget>| Budgets::Known(budgets).held(pods.iter());
        let ours = json!({"matchLabels": {"app": "genkan"}});
        assert_eq!(held(vec![]), None);
        assert_eq!(held(vec![mk_budget(ours.clone(), mk_status(1, 2))]), None);
        let message = held(vec![mk_budget(ours.clone(), mk_status(0, 2))]).unwrap();
        assert!(message.contains("PodDisruptionBudget pdb"), "{message}");
        // Its status is about what it was before.
        assert!(held(vec![mk_budget(ours, mk_status(1, 1))]).is_some());
        for (selector, is_held) in [
            (json!({"matchLabels": {"app": "other"}}), false),
            (json!({}), true),
            (Value::Null, false),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["edge"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["edge"]}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}),
                false,
            ),
        ] {
            let budget = mk_budget(selector.clone(), mk_status(0, 2));
            assert_eq!(held(vec![budget]).is_some(), is_held, "{selector}");
        }
    }

    #[test]
    fn what_is_not_known_holds_all() {
        assert_eq!(Budgets::None.held(std::iter::empty()), None);
        assert!(Budgets::Unknown.held(std::iter::empty()).is_some());
        let refused = Budgets::NotPermitted("edge".into()).held(std::iter::empty());
        assert!(refused.unwrap().contains("namespace edge"));
    }
}
