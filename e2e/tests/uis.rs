//! UIs that people publish, as their registries serve them: each is used in a browser, by host and below a path.
//!
//! `cargo test` takes three of them, `make uis` all. They are fetched once, outside of the private network, and kept.

use std::process::ExitCode;

use anyhow::Result;
use genkan_e2e::namespace;
use genkan_e2e::programs::Programs;

#[path = "uis/apps.rs"]
mod apps;
#[path = "uis/fetch.rs"]
mod fetch;
#[path = "uis/inside.rs"]
mod inside;
#[path = "uis/recipe.rs"]
mod recipe;
#[path = "uis/table.rs"]
mod table;

use inside::Plan;
use recipe::Recipe;

fn main() -> ExitCode {
    let chosen = chosen();
    if std::env::args().any(|argument| argument == "--list") {
        for recipe in &chosen {
            println!("uis::{}: test", recipe.name);
        }
        return ExitCode::SUCCESS;
    }
    match inside_or_out(&chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("uis: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Those of every run, or with `GENKAN_UIS=all` all; of these the ones that the command line names, if it does.
fn chosen() -> Vec<Recipe> {
    let all = std::env::var("GENKAN_UIS").is_ok_and(|which| which == "all");
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.retain(|argument| !argument.starts_with('-'));
    let named = |recipe: &Recipe| {
        let name = format!("uis::{}", recipe.name);
        arguments.is_empty() || arguments.iter().any(|part| name.contains(part.as_str()))
    };
    let wanted = |recipe: &Recipe| (all || recipe.always) && named(recipe);
    apps::all().into_iter().filter(wanted).collect()
}

fn inside_or_out(chosen: &[Recipe]) -> Result<bool> {
    if let Some(plan) = namespace::handed::<Plan>()? {
        return inside::run(&plan, chosen);
    }
    table::compare(&apps::all())?;
    if chosen.is_empty() {
        println!("no UI has been chosen");
        return Ok(true);
    }
    let Some(browser) = genkan_e2e::browser::find() else {
        println!("uis: skipped: there is no browser; install chromium");
        return Ok(true);
    };
    // Here the registries can be reached, in there they cannot.
    let plan = Plan {
        programs: Programs::build()?,
        browser: browser.to_owned(),
        fetched: chosen.iter().map(fetch::fetch).collect::<Result<_>>()?,
    };
    let mut child = namespace::enter(&plan)?;
    let _alive = child.stdin.take();
    Ok(child.wait()?.success())
}
