//! What genkan promises, proved on a real control plane: each scenario is named by what it proves.

use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};

mod broken;
mod browser;
mod callers;
mod conflicts;
mod fragments;
mod output;
mod seeds;
mod services;
mod status;

use broken::*;
use browser::*;
use callers::*;
use conflicts::*;
use fragments::*;
use output::*;
use seeds::*;
use services::*;
use status::*;

pub fn suite() -> Suite {
    Suite {
        name: "scenarios",
        stage: Stage::Product,
        apart: false,
        scenarios: scenarios!(
            together: [
                seed_manifests_are_served_verbatim,
                fragments_of_the_documentation_do_what_they_say,
                programmed_means_that_the_very_next_request_works,
                a_conflict_is_told_to_the_loser_and_ends_with_the_winner,
                what_can_never_win_is_shadowed,
                the_older_of_two_api_services_is_served,
                a_service_that_is_missing_answers_503_until_it_exists,
                a_port_that_is_missing_is_named,
                an_external_name_is_never_followed,
                a_data_plane_may_ask_and_nothing_else,
            ],
            // What has stopped a data plane is still counted for 30 s, so those that count proxies come first.
            alone: [
                commands_print_what_the_golden_text_says,
                one_broken_object_among_a_thousand_harms_none,
                delete_and_recreate_never_shows_an_old_condition,
                a_proxy_that_is_down_shows_in_status,
                a_browser_reaches_a_ui_with_the_rights_of_a_kubeconfig,
                no_ui_speaks_for_its_neighbour,
                a_newcomer_follows_the_script_to_an_answer,
                a_caller_is_refused_with_the_rule_and_let_in_with_it,
            ],
        ),
    }
}
