use genkan_routing::model::policy::PolicyStep;
use serde::Deserialize;

use crate::condition::Condition;
use crate::link::{Fault, Site};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SwitchWith {
    pub(crate) cases: Vec<CaseWith>,
    #[serde(default)]
    pub(crate) otherwise: Vec<PolicyStep>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CaseWith {
    when: Option<String>,
    jsonata: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<PolicyStep>,
}

/// # Errors
/// When there is none, or one that cannot be used.
pub(crate) fn condition(site: &Site<'_>, case: &CaseWith, place: &str) -> Result<Condition, Fault> {
    match (&case.when, &case.jsonata) {
        (Some(when), None) => site.expr(&format!("{place}.when"), when).map(Condition::Cel),
        (None, Some(jsonata)) => site
            .jsonata(&format!("{place}.jsonata"), jsonata)
            .map(Condition::Jsonata),
        (Some(_), Some(_)) | (None, None) => Err(Fault::new(place, "it needs one of when and jsonata")),
    }
}
