//! Every request case, with a ServiceAccount of its own for each caller, so that no remembered answer about one case decides
//! another.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use genkan_e2e::http1::{self, Answer, Request};
use genkan_e2e::world::World;
use serde_json::{Value, json};

use super::callers::{self, Caller};
use super::document::{Document, id};
use super::far::Mode;
use super::judge::{self, Trouble};
use super::stage::Stage;
use super::statuses;

pub async fn every_case_comes_as_it_says(world: Arc<World>) -> Result<()> {
    let document = Document::load()?;
    document.expect_known()?;
    let stage = Stage::set(&world, &document).await?;
    stage.install(&document).await?;
    let mut cases = document.cases("request_cases");
    // What is in trouble comes last: no verdict about the health of a tool reaches another case.
    cases.sort_by_key(|case| (Trouble::of(case) != Trouble::None, flags(case).join(",")));
    let mut failures = Vec::new();
    let mut passed = 0;
    for case in &cases {
        let differences = carry_out(&stage, &document, case)
            .await
            .with_context(|| id(case).to_owned())?;
        note(case, differences, &mut passed, &mut failures);
    }
    stage.switch(&[]).await?;
    for (kind, case) in statuses::all(&document) {
        let differences = statuses::carry_out(&stage, &document, kind, case).await;
        let differences = differences.with_context(|| id(case).to_owned())?;
        note(case, differences, &mut passed, &mut failures);
    }
    println!("{passed} cases of connectors passed, {} failed", failures.len());
    ensure!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    ensure!(passed > 0, "no case was carried out");
    stage.end().await
}

fn note(case: &Value, differences: Vec<String>, passed: &mut usize, failures: &mut Vec<String>) {
    if differences.is_empty() {
        *passed += 1;
    } else {
        let title = case["title"].as_str().unwrap_or_default();
        failures.push(format!(
            "{} ({title}):\n    {}",
            id(case),
            differences.join("\n    ")
        ));
    }
}

fn flags(case: &Value) -> Vec<&str> {
    let flags = case["flags"].as_array().into_iter().flatten();
    flags.filter_map(Value::as_str).collect()
}

async fn carry_out(stage: &Stage, document: &Document, case: &Value) -> Result<Vec<String>> {
    stage.switch(&flags(case)).await?;
    let everybody = cast(stage, document, case, true).await?;
    let closed = match Trouble::of(case) {
        Trouble::Refuses => vec![80],
        Trouble::None | Trouble::IsAnother | Trouble::Hangs => Vec::new(),
    };
    let mode = match Trouble::of(case) {
        Trouble::None | Trouble::Refuses => Mode::Answers,
        Trouble::IsAnother => Mode::IsAnother,
        Trouble::Hangs => Mode::Hangs,
    };
    stage
        .far
        .begin(mode, case["expect"]["upstream_response"].clone(), &closed)
        .await?;
    let answer = send(stage, case, &everybody).await?;
    let tokens: Vec<String> = everybody.values().map(|caller| caller.token.clone()).collect();
    let mut differences = judge::differences(case, &stage.far, &answer, &tokens);
    if !case["expect"]["sar"].is_null() {
        // Both reviews are asked: whoever has the second grant alone is refused by the first.
        let others = cast(stage, document, case, false).await?;
        let answer = send(stage, case, &others).await?;
        if answer.status != 403 {
            differences.push(format!("without the first grant the answer is {}", answer.status));
        }
    }
    stage.far.begin(Mode::Answers, Value::Null, &[]).await?;
    Ok(differences)
}

/// The callers whose tokens stand in a case, by these tokens.
async fn cast(
    stage: &Stage,
    document: &Document,
    case: &Value,
    with_base: bool,
) -> Result<BTreeMap<String, Caller>> {
    let fixtures = &document.0["fixtures"];
    let text = case["request"].to_string();
    let mut cast = BTreeMap::new();
    for (token, user) in fixtures["tokens"].as_object().into_iter().flatten() {
        if !text.contains(token.as_str()) || user["authenticated"] != true {
            continue;
        }
        let name = user["user"].as_str().unwrap_or_default();
        let is_theirs = |grant: &&Value| grant["subject"] == name;
        let base = fixtures["rbac"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| with_base);
        let own = case["rbac"].as_array().into_iter().flatten();
        let grants: Vec<&Value> = base.chain(own).filter(is_theirs).collect();
        let short = name.rsplit(':').next().unwrap_or(name);
        let half = if with_base { "" } else { "-half" };
        let account = format!("{short}-{}{half}", id(case).to_ascii_lowercase());
        cast.insert(
            token.clone(),
            callers::granted(&stage.client, &account, &grants).await?,
        );
    }
    Ok(cast)
}

async fn send(stage: &Stage, case: &Value, cast: &BTreeMap<String, Caller>) -> Result<Answer> {
    let request = &case["request"];
    let said = |text: &Value| {
        let mut text = text.as_str().unwrap_or_default().to_owned();
        // The longest first: a name may begin another.
        for (token, caller) in cast.iter().rev() {
            text = text.replace(token.as_str(), &caller.token);
        }
        text
    };
    let headers = request["headers"].as_object().into_iter().flatten();
    let headers: Vec<(String, String)> = headers.map(|(name, value)| (name.clone(), said(value))).collect();
    ensure!(
        headers
            .iter()
            .all(|(name, _)| !name.eq_ignore_ascii_case("upgrade")),
        "an upgrade is not carried out here"
    );
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (method, target) = (said(&request["method"]), said(&request["target"]));
    let body = said(request.get("body").unwrap_or(&json!("")));
    let request = Request {
        method: &method,
        target: &target,
        headers: &headers,
        body: body.as_bytes(),
    };
    http1::send(stage.proxy.listen, request).await
}
