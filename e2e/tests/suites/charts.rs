//! The charts, by the real `helm` and on a real API server.

use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};

mod connectors;
mod extensions;
mod life;
mod policies;
mod render;
mod values;

use connectors::*;
use extensions::*;
use life::*;
use policies::*;
use render::*;
use values::*;

pub fn suite() -> Suite {
    Suite {
        name: "charts",
        stage: Stage::Charts,
        apart: false,
        scenarios: scenarios!(
            together: [
                charts_have_the_version_of_the_programs,
                charts_have_nothing_that_lint_would_say,
                admission_knows_which_policies_are_built_in,
                what_is_rendered_is_as_recorded,
                an_unknown_or_impossible_value_is_refused,
                what_is_unsafe_cannot_be_asked_for,
                an_older_cluster_is_refused,
                every_value_is_documented,
                every_value_changes_something,
            ],
            alone: [
                who_may_publish_is_decided_at_admission,
                who_may_connect_a_tool_is_decided_at_admission,
                who_may_extend_the_gateway_is_decided_at_admission,
                installed_upgraded_rolled_back_and_removed,
                definitions_of_others_are_adopted,
                what_is_installed_answers_calls,
                a_secret_that_was_given_secures_the_stream,
            ],
        ),
    }
}
