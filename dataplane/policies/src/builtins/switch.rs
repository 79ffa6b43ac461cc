use genkan_routing::model::policy::PolicyStep;
use serde::Deserialize;

use crate::expr::Expr;
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
/// When there is none, or one of a language that this version does not have.
pub(crate) fn condition(site: &Site<'_>, case: &CaseWith, place: &str) -> Result<Expr, Fault> {
    match (&case.when, &case.jsonata) {
        (Some(when), None) => site.expr(&format!("{place}.when"), when),
        (None, Some(_)) => Err(Fault {
            field: format!("{place}.jsonata"),
            ..Fault::unsupported(
                "JSONata is not run by this version of genkan; write the condition in CEL as when",
            )
        }),
        (Some(_), Some(_)) | (None, None) => Err(Fault::new(place, "it needs one of when and jsonata")),
    }
}
