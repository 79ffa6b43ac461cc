//! What genkan promises, on a real control plane: suites of scenarios, each named by what it proves.

use std::process::ExitCode;

use genkan_e2e::suite;

mod suites {
    pub mod charts;
    pub mod connectors;
    pub mod control_plane;
    pub mod crds;
    pub mod extensions;
    pub mod load;
    pub mod logins;
    pub mod node;
    pub mod scenarios;
    pub mod start;
    pub mod stream;
    pub mod vectors;
}

fn main() -> ExitCode {
    // The longest first.
    suite::run(vec![
        suites::node::suite(),
        suites::scenarios::suite(),
        suites::load::suite(),
        suites::stream::suite(),
        suites::connectors::suite(),
        suites::extensions::suite(),
        suites::charts::suite(),
        suites::vectors::suite(),
        suites::logins::suite(),
        suites::crds::suite(),
        suites::start::suite(),
        suites::control_plane::suite(),
    ])
}
