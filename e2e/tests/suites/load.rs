//! Changes and restarts under load fail no request.

use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};

mod hammer;
mod restarts;

use hammer::*;
use restarts::*;

pub fn suite() -> Suite {
    Suite {
        name: "load",
        stage: Stage::Product,
        apart: false,
        scenarios: scenarios!(
            together: [],
            alone: [
                a_planted_fault_is_caught,
                edits_fail_no_request,
                a_rollout_of_the_backend_fails_no_request,
                a_restart_of_the_operator_fails_no_request,
                a_restart_of_the_api_server_fails_no_request,
            ],
        ),
    }
}
