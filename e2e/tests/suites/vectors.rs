//! A sample of each area of the vectors, with the objects in a real API server and both data planes asked.

#![allow(clippy::unwrap_used, reason = "a run that cannot go on must stop")]
#![allow(dead_code, reason = "shared with the run that serves a folder")]

#[path = "../vectors/areas.rs"]
mod areas;
#[path = "../vectors/case.rs"]
mod case;
#[path = "../vectors/client.rs"]
mod client;
#[path = "../vectors/compare.rs"]
mod compare;
#[path = "../vectors/objects.rs"]
mod objects;
#[path = "../vectors/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use areas::Place;
use case::Case;
use genkan_e2e::scenarios;
use genkan_e2e::suite::{Stage, Suite};
use genkan_e2e::wait;
use genkan_e2e::world::World;
use serde_json::Value;
use upstream::{FAR, Keys, Upstream};

/// Of each area.
const SAMPLE: usize = 2;
const SETTLE: Duration = Duration::from_secs(15);

pub fn suite() -> Suite {
    Suite {
        name: "vectors",
        stage: Stage::KubeSphere,
        apart: false,
        scenarios: scenarios!(together: [a_sample_of_each_area_holds_through_the_api_server], alone: []),
    }
}

async fn a_sample_of_each_area_holds_through_the_api_server(world: Arc<World>) -> Result<()> {
    let keys = Keys::make(&world.folder("vectors")?);
    world.kubectl().run(&["create", "namespace", "n"]).await?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in sample() {
        let differences = carry_out(&world, &case, &keys)
            .await
            .with_context(|| case.id.clone())?;
        *counts.entry(case.area.clone()).or_default() += 1;
        if !differences.is_empty() {
            failures.push(format!(
                "{} ({}):\n    {}",
                case.id,
                case.area,
                differences.join("\n    ")
            ));
        }
    }
    // What the API server itself refuses is proved case by case with the types; these data planes know no caller.
    let refused = [
        "admission",
        "authorization",
        "directive.authProxy",
        "endpoint",
        "identity.upgrade",
    ];
    let silent: Vec<_> = areas::HERE
        .iter()
        .filter(|area| !counts.contains_key(**area) && !refused.contains(*area))
        .collect();
    if !failures.is_empty() || !silent.is_empty() {
        bail!(
            "no case of {silent:?}; {} cases fail:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
    Ok(())
}

/// The first cases of each area whose objects all come to be served.
fn sample() -> Vec<Case> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    for case in case::load() {
        let config = &case.json["config"];
        let labelled = config["reverseProxies"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["labels"].is_object()));
        let fits = matches!(areas::place(&case), Place::Here)
            && !needs_caller(&case)
            && case.json["admission"].is_null()
            && !labelled;
        let count = taken.entry(case.area.clone()).or_default();
        if fits && *count < SAMPLE {
            *count += 1;
            chosen.push(case);
        }
    }
    chosen
}

/// Can it only be judged where callers are known?
fn needs_caller(case: &Case) -> bool {
    let config = &case.json["config"];
    let expect = case.expect();
    let authorization = &config["authorization"];
    let identity = expect["upstream"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|request| {
            let headers = request["headers"].as_object().into_iter().flatten();
            headers
                .into_iter()
                .any(|(name, _)| name.to_ascii_lowercase().starts_with("x-remote-"))
        });
    identity
        || !expect["review"].is_null()
        || !(authorization.is_null() || authorization == "allow")
        || matches!(expect["response"]["status"].as_u64(), Some(401 | 403))
}

async fn carry_out(world: &World, case: &Case, keys: &Keys) -> Result<Vec<String>> {
    let product = world.product();
    let empty = product.operator.config().await?.hash;
    let upstream = Upstream::listen(FAR, &case.json, keys);
    let mut objects = objects::manifests(case, "reverseProxies", upstream.address, keys);
    for object in &mut objects {
        // The API server's own.
        object["metadata"]
            .as_object_mut()
            .map(|metadata| metadata.remove("creationTimestamp"));
    }
    let manifest = objects
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n---\n");
    if !objects.is_empty() {
        world.kubectl().apply(&manifest).await?;
        wait::until_true("every object is settled", SETTLE, || is_settled(world)).await?;
    }
    product.in_step().await?;
    let request = Arc::new(case.request(&upstream.address.to_string()));
    let mut differences = Vec::new();
    for proxy in &product.proxies {
        let before = upstream.taken().len();
        let (listen, sent) = (proxy.listen, request.clone());
        let answer = tokio::task::spawn_blocking(move || client::exchange(listen, &sent)).await?;
        let taken = upstream.taken().split_off(before);
        differences.extend(judge(
            case,
            &taken,
            &answer,
            &request,
            &upstream.address.to_string(),
        ));
    }
    if !objects.is_empty() {
        let deleted = world.kubectl().output(&["delete", "-f", "-"], &manifest).await?;
        if !deleted.success {
            bail!("kubectl delete: {}", deleted.stderr);
        }
        wait::until_true("the world is empty again", SETTLE, || async {
            Ok(product.operator.config().await?.hash == empty)
        })
        .await?;
    }
    Ok(differences)
}

fn judge(
    case: &Case,
    taken: &[upstream::Received],
    answer: &client::Answer,
    request: &case::Request,
    address: &str,
) -> Vec<String> {
    if case.area == "rewrite.pattern" {
        let matched = case.expect()["match"] == true;
        let hit = taken.iter().any(|request| request.target == "/hit");
        return if matched == hit {
            Vec::new()
        } else {
            vec![format!("matched: {hit}, expected {matched}")]
        };
    }
    let mut differences = compare::upstream(&case.expect()["upstream"], taken, address);
    differences.extend(compare::answer(
        &case.expect()["response"],
        answer,
        request,
        address,
    ));
    differences
}

/// The operator has spoken about every object, and what is accepted is served.
async fn is_settled(world: &World) -> Result<bool> {
    let kinds = "reverseproxies.extensions.kubesphere.io,apiservices.extensions.kubesphere.io";
    let listed: Value = serde_json::from_str(&world.kubectl().run(&["get", kinds, "-o", "json"]).await?)?;
    let settled = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array();
        let is = |kind: &str, status: &str| {
            conditions.into_iter().flatten().any(|condition| {
                condition["type"] == kind
                    && condition["status"] == status
                    && condition["observedGeneration"] == object["metadata"]["generation"]
            })
        };
        is("Accepted", "False") || is("Accepted", "True") && is("Programmed", "True")
    };
    Ok(listed["items"]
        .as_array()
        .is_some_and(|items| items.iter().all(settled)))
}
