//! Uses UIs in a private network: operator and data plane on a folder of manifests, one browser, and each UI as itself and
//! told where it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_e2e::browser::{Browser, Page};
use genkan_e2e::http1;
use genkan_e2e::namespace;
use genkan_e2e::process::Process;
use genkan_e2e::product::{Source, local};
use genkan_e2e::programs::Programs;
use genkan_e2e::publish::manifest;
use genkan_e2e::wait;
use genkan_e2e::world::{Addresses, Product};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::fetch::Fetched;
use crate::recipe::{Fault, Place, Recipe, Visit, Way};
use crate::table::{self, Row, Used};

/// What the process outside tells the one inside.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    pub programs: Programs,
    pub browser: String,
    /// In the order of the UIs.
    pub fetched: Vec<Fetched>,
}

const FRONT: u16 = 8001;
/// Each UI has two ports from here on: as itself, and told where it is.
const FIRST: u16 = 20_000;
const START: Duration = Duration::from_secs(60);
/// For each thing that a page is to show.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where it is known not to.
const LITTLE_PATIENCE: Duration = Duration::from_secs(6);

pub fn run(plan: &Plan, chosen: &[Recipe]) -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("genkan-uis-").tempdir()?;
    let path = folder.path().to_owned();
    namespace::settle(move || {
        let _ = std::fs::remove_dir_all(path);
    })?;
    let good = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(carry_out(plan, chosen, folder.path()))?;
    if !good {
        println!("logs: {}", folder.keep().display());
    }
    Ok(good)
}

async fn carry_out(plan: &Plan, chosen: &[Recipe], folder: &Path) -> Result<bool> {
    let begin = Instant::now();
    let product = publish(plan, chosen, folder).await?;
    let browser = Browser::start(&plan.browser, folder)?;
    let mut rows = Vec::new();
    let (mut failed, mut skipped) = (0, 0);
    for ((recipe, fetched), port) in chosen.iter().zip(&plan.fetched).zip((FIRST..).step_by(2)) {
        let programs = match fetched {
            Fetched::At(programs) => programs,
            Fetched::Skipped(why) => {
                println!("test uis::{} ... skipped: {why}", recipe.name);
                skipped += 1;
                continue;
            }
        };
        let begin = Instant::now();
        let row = with(recipe, programs, &folder.join(recipe.name), port, &browser).await;
        let row = row.unwrap_or_else(|error| Row::broken(recipe, &format!("{error:#}")));
        let word = if row.wrong.is_empty() { "ok" } else { "FAILED" };
        println!(
            "test uis::{} ... {word} ({:.1} s)",
            recipe.name,
            begin.elapsed().as_secs_f64()
        );
        failed += usize::from(!row.wrong.is_empty());
        rows.push(row);
    }
    product.expect_running().context("after the last UI")?;
    for row in &rows {
        for wrong in &row.wrong {
            println!("---- {} ----\n{wrong}", row.name);
        }
    }
    println!("\n{}", table::printed(&rows));
    println!(
        "uis: {}. {} passed; {failed} failed; {skipped} skipped; finished in {:.1} s",
        if failed == 0 { "ok" } else { "FAILED" },
        rows.len() - failed,
        begin.elapsed().as_secs_f64()
    );
    Ok(failed == 0)
}

/// Everything is published from the beginning; who is not there yet answers later.
async fn publish(plan: &Plan, chosen: &[Recipe], folder: &Path) -> Result<Product> {
    let manifests = folder.join("manifests");
    std::fs::create_dir_all(&manifests)?;
    for (recipe, port) in chosen.iter().zip((FIRST..).step_by(2)) {
        let objects: Vec<_> = Way::all()
            .map(|way| recipe.object(way, port + u16::from(way == Way::Aware)))
            .collect();
        std::fs::write(
            manifests.join(format!("{}.yaml", recipe.name)),
            manifest(&objects),
        )?;
    }
    let addresses = Addresses {
        proxies: vec![(FRONT, 9401)],
        ..Addresses::default()
    };
    let source = Source::Folder(manifests);
    // By path a UI that makes links of the host that it sees is told this one.
    let public = format!("http://{}", local(FRONT));
    let flags = ["--allow-upstream-cidr", "127.0.0.0/8", "--public-url", &public];
    let product = Product::launch(&plan.programs, folder, &source, addresses, &flags).await?;
    product.in_step().await?;
    Ok(product)
}

/// One UI in all ways.
async fn with(recipe: &Recipe, programs: &Path, folder: &Path, port: u16, browser: &Browser) -> Result<Row> {
    let base = format!("/proxy/{}", recipe.published(Way::Aware));
    let (plain, aware) = tokio::try_join!(
        start(recipe, programs, folder.join("plain"), port, None),
        start(recipe, programs, folder.join("aware"), port + 1, Some(base)),
    )?;
    let mut row = Row::new(recipe);
    for way in Way::all() {
        let patience = match recipe.fault(way) {
            None | Some(Fault::Leaks(_)) => PATIENCE,
            Some(Fault::Fails(_) | Fault::Lost) => LITTLE_PATIENCE,
        };
        let used = visit(recipe, way, browser.page(patience).await?, folder).await?;
        if let Some(wrong) = wrong(recipe, way, &used) {
            let process = if way == Way::Aware { &aware } else { &plain };
            row.wrong
                .push(format!("{wrong}\nits log ends:\n{}", process.tail(12)));
        }
        row.used.push((way, used));
    }
    Ok(row)
}

async fn start(
    recipe: &Recipe,
    programs: &Path,
    folder: PathBuf,
    port: u16,
    base: Option<String>,
) -> Result<Process> {
    let below = base.clone().filter(|_| !recipe.aware.strips).unwrap_or_default();
    let place = Place {
        programs: programs.to_owned(),
        folder: folder.clone(),
        port,
        base,
    };
    place.write(recipe.files)?;
    let mut process = (recipe.launch)(&place).start(&folder)?;
    let target = format!("{below}{}", recipe.ready);
    let ready = wait::until_true(&format!("{} answers {target}", recipe.name), START, || {
        let running = process.expect_running();
        let target = target.clone();
        async move {
            running?;
            Ok(http1::get(local(port), &target).await?.status < 400)
        }
    })
    .await;
    ready.with_context(|| process.tail(12))?;
    Ok(process)
}

async fn visit(recipe: &Recipe, way: Way, page: Page, folder: &Path) -> Result<Used> {
    let name = recipe.published(way);
    let (origin, below) = match way {
        Way::Host => (format!("http://{name}.localhost:{FRONT}"), String::new()),
        Way::Markup | Way::Full | Way::Aware => {
            (format!("http://127.0.0.1:{FRONT}"), format!("/proxy/{name}"))
        }
    };
    let visit = Visit {
        page,
        url: format!("{origin}{below}"),
        word: way.name(),
    };
    let begun = visit
        .page
        .navigate(&format!("{}{}", visit.url, recipe.start))
        .await;
    let outcome = match begun {
        Ok(()) => (recipe.act)(&visit).await,
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        let file = folder.join(format!("{}.png", way.name()));
        visit.page.picture(&file).await?;
    }
    let used = Used::new(outcome, &visit.page.seen(), &origin, &below);
    visit.page.close().await?;
    Ok(used)
}

/// What is not as the recipe says.
fn wrong(recipe: &Recipe, way: Way, used: &Used) -> Option<String> {
    let (works, outside) = match recipe.fault(way) {
        None => (true, None),
        Some(Fault::Leaks(path)) => (true, Some(path)),
        Some(Fault::Fails(path)) => (false, Some(path)),
        Some(Fault::Lost) => (false, None),
    };
    let known = |escaped: &String| outside.is_some_and(|path| escaped.starts_with(path));
    let expected = |error: &String| {
        let mut noise = recipe.noise.iter().copied().chain(outside);
        noise.any(|noise| error.contains(noise))
    };
    let wrong = match &used.outcome {
        Err(why) if works => why.clone(),
        Ok(()) if !works => "it works, and should not".to_owned(),
        _ if outside.is_some() && !used.escaped.iter().any(known) => {
            format!("it asks for nothing at {outside:?}")
        }
        Ok(()) if !used.escaped.iter().all(known) => "it works, and yet asks for more outside".to_owned(),
        Ok(()) if !used.errors.iter().all(expected) => "it works, and yet complains".to_owned(),
        _ => return None,
    };
    Some(format!("{}: {wrong}\n{used}", way.name()))
}
