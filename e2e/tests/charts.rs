//! The charts, by the real `helm` and on a real API server.

use std::process::ExitCode;

use genkan_e2e::scenarios;
use genkan_e2e::suite::{self, Stage};

mod charts {
    pub mod life;
    pub mod policies;
    pub mod render;
    pub mod values;
}

use charts::life::*;
use charts::policies::*;
use charts::render::*;
use charts::values::*;

fn main() -> ExitCode {
    suite::run(
        Stage::Charts,
        scenarios!(
            together: [
                charts_have_the_version_of_the_programs,
                charts_have_nothing_that_lint_would_say,
                what_is_rendered_is_as_recorded,
                an_unknown_or_impossible_value_is_refused,
                what_is_unsafe_cannot_be_asked_for,
                an_older_cluster_is_refused,
                every_value_is_documented,
                every_value_changes_something,
            ],
            alone: [
                who_may_publish_is_decided_at_admission,
                installed_upgraded_rolled_back_and_removed,
                definitions_of_others_are_adopted,
                what_is_installed_answers_calls,
                a_secret_that_was_given_secures_the_stream,
            ],
        ),
    )
}
