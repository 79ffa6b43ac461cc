//! Tools without passwords, on a real API server: the operator with the rights of its chart, one data plane, callers with
//! tokens of ServiceAccounts, and a far side that plays every tool.

use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};

mod callers;
mod document;
mod far;
mod judge;
mod left_out;
mod objects;
mod requests;
mod stage;
mod statuses;

use requests::*;

pub fn suite() -> Suite {
    Suite {
        name: "connectors",
        stage: Stage::Programs,
        apart: false,
        scenarios: scenarios!(
            together: [],
            // Each has an operator of its own in the one namespace that the rights are for.
            alone: [every_case_comes_as_it_says],
        ),
    }
}
