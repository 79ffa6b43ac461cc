//! Tools without passwords, on a real API server: the operator with the rights of its chart, one data plane, callers with
//! tokens of ServiceAccounts, and a far side that plays every tool.

use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};

mod authorities;
mod callers;
mod document;
mod edits;
mod far;
mod granting;
mod judge;
mod leaks;
mod left_out;
mod many;
mod objects;
mod removal;
mod requests;
mod rotation;
mod stage;
mod statuses;

use authorities::*;
use edits::*;
use granting::*;
use leaks::*;
use many::*;
use removal::*;
use requests::*;
use rotation::*;

pub fn suite() -> Suite {
    Suite {
        name: "connectors",
        stage: Stage::Programs,
        apart: false,
        scenarios: scenarios!(
            together: [],
            // Each has an operator of its own in the one namespace that the rights are for.
            alone: [
                every_case_comes_as_it_says,
                a_changed_secret_is_used_at_once_and_fails_no_request,
                what_is_missing_is_told_by_conditions_and_answers,
                the_secret_of_another_namespace_is_never_used,
                no_credential_is_where_it_has_no_business,
                what_administrators_trust_counts_beside_the_roots,
                a_server_grants_the_token_of_a_tool,
                the_example_of_a_class_api_answers,
                a_namespace_with_many_secrets_is_watched_once,
                a_right_that_is_taken_away_takes_the_value_with_it,
                // What has stopped listening to the operator is still counted for 30 s.
                an_edit_of_a_class_sends_the_class_alone,
            ],
        ),
    }
}
