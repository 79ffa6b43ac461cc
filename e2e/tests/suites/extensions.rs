//! Policies and gateway extensions on a real API server: the operator with the rights of its chart, and three data planes.

use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};

mod archives;
mod policies;
mod rollouts;
mod stand;

use archives::*;
use policies::*;
use rollouts::*;

pub fn suite() -> Suite {
    Suite {
        name: "extensions",
        stage: Stage::Programs,
        apart: false,
        scenarios: scenarios!(
            together: [],
            // Each has programs of its own, on the same ports.
            alone: [
                policies_of_an_object_act_and_say_what_is_wrong,
                an_archive_of_datapower_is_served_and_taken_away,
                hooks_act_on_what_they_select,
                deferred_entries_go_from_one_data_plane_to_the_next,
                what_a_data_plane_cannot_serve_is_taken_back,
                a_revision_waits_for_whoever_approves_it,
                an_operator_that_is_killed_goes_on_where_it_was,
            ],
        ),
    }
}
