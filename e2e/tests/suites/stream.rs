//! The configuration stream is closed to strangers, proved with the operator's own rights on a real API server.

use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};

mod certificates;
mod proxies;
mod rights;
mod secured;
mod strangers;

use certificates::*;
use proxies::*;
use rights::*;
use strangers::*;

pub fn suite() -> Suite {
    Suite {
        name: "stream",
        stage: Stage::Programs,
        apart: false,
        scenarios: scenarios!(
            together: [a_data_plane_may_do_nothing_but_ask],
            // Each has an operator of its own in the one namespace that the rights are for.
            alone: [
                a_data_plane_is_counted_as_its_pod,
                a_forged_acknowledgement_changes_nothing,
                strangers_are_refused_and_get_nothing,
                a_stream_ends_with_its_token,
                an_api_server_that_is_away_keeps_newcomers_waiting,
                the_operator_keeps_its_authority,
                what_is_broken_by_hand_is_mended,
                another_authority_comes_with_overlap,
                a_given_secret_is_used_and_never_written,
            ],
        ),
    }
}
