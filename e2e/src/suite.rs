//! Carries out suites of scenarios: a process and a world for each suite, several suites side by side, and in each several
//! scenarios at a time.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::namespace;
use crate::programs::Prepared;
pub use crate::world::Stage;
use crate::world::World;

mod arguments;
mod inside;
mod outside;

use arguments::Arguments;

/// Scenarios that share one world.
#[derive(Debug)]
pub struct Suite {
    pub name: &'static str,
    pub stage: Stage,
    /// It measures or loads the machine, so no other suite runs beside it.
    pub apart: bool,
    pub scenarios: Vec<Scenario>,
}

/// One thing that is proved; its name is that of the function.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// It stops or restarts what others use, so it runs alone.
    pub alone: bool,
    pub run: fn(Arc<World>) -> BoxFuture<'static, Result<()>>,
}

/// Lists functions `async fn(Arc<World>) -> anyhow::Result<()>` as scenarios.
#[macro_export]
macro_rules! scenarios {
    (@ $alone:literal $($name:path),* $(,)?) => {
        vec![$($crate::suite::Scenario {
            name: stringify!($name),
            alone: $alone,
            run: |world| Box::pin($name(world)),
        }),*]
    };
    (together: [$($together:path),* $(,)?], alone: [$($alone:path),* $(,)?] $(,)?) => {{
        let mut all: Vec<$crate::suite::Scenario> = $crate::scenarios!(@ false $($together),*);
        let alone: Vec<$crate::suite::Scenario> = $crate::scenarios!(@ true $($alone),*);
        all.extend(alone);
        all
    }};
}

/// What the process outside tells the one inside.
#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    suite: String,
    prepared: Prepared,
}

/// The whole of a test program's `main`. A name on the command line is part of `suite::scenario`.
pub fn run(suites: Vec<Suite>) -> ExitCode {
    let arguments = Arguments::read();
    let chosen: Vec<Suite> = suites
        .into_iter()
        .map(|suite| suite.choose(&arguments))
        .filter(|suite| !suite.scenarios.is_empty())
        .collect();
    if arguments.list {
        for suite in &chosen {
            for scenario in &suite.scenarios {
                println!("{}::{}: test", suite.name, scenario.name);
            }
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        println!("no scenario has been chosen");
        return ExitCode::SUCCESS;
    }
    let ended = match namespace::handed::<Errand>() {
        Ok(Some(errand)) => inside::run(&errand, &chosen),
        Ok(None) => outside::run(&chosen),
        Err(error) => Err(error),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::from(2)
    })
}

// === impl Suite ===

impl Suite {
    fn choose(mut self, arguments: &Arguments) -> Self {
        self.scenarios
            .retain(|scenario| arguments.wants(&format!("{}::{}", self.name, scenario.name)));
        self
    }
}

// === impl Scenario ===

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
