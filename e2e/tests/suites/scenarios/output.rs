//! What commands print, kept as one text: a change of it is read in review.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use genkan_crds::{APIService, ReverseProxy};
use genkan_e2e::publish::{api_service, manifest, reverse_proxy};
use genkan_e2e::service::Service;
use genkan_e2e::wait;
use genkan_e2e::world::World;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;

pub async fn commands_print_what_the_golden_text_says(world: Arc<World>) -> Result<()> {
    let kubectl = world.kubectl();
    let client = world.control_plane.client();
    let all = (DeleteParams::default(), ListParams::default());
    Api::<ReverseProxy>::all(client.clone())
        .delete_collection(&all.0, &all.1)
        .await?;
    Api::<APIService>::all(client)
        .delete_collection(&all.0, &all.1)
        .await?;
    let backend = world.backend("shop", 8080).await?;
    kubectl
        .apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
        .await?;
    kubectl
        .apply(&Service::new("shop", "cart", 80, &[backend.address]).manifest())
        .await?;
    let mut broken = reverse_proxy("orders", "/proxy/orders", "cart.shop.svc:8081", json!({}));
    broken["spec"]["matcher"]["method"] = json!("GET");
    let objects = [
        api_service("v1.shop.example.io", "shop.example.io", "v1", "cart.shop.svc"),
        reverse_proxy(
            "cart",
            "/proxy/cart",
            "cart.shop.svc",
            json!({"headerUp": ["-Authorization"]}),
        ),
    ];
    kubectl.apply(&manifest(&objects)).await?;
    // Services and their users come by different watches: here the Service is known first.
    world.wait_for("rp/cart", "Ready").await?;
    kubectl.apply(&manifest(&[broken])).await?;
    // Creation times are whole seconds, and the text names what decides.
    let created: jiff::Timestamp = world
        .value("rp/cart", "{.metadata.creationTimestamp}")
        .await?
        .parse()?;
    wait::until_true("the next second", Duration::from_secs(3), || async {
        Ok(jiff::Timestamp::now().as_second() > created.as_second())
    })
    .await?;
    kubectl
        .apply(&manifest(&[reverse_proxy(
            "cart-copy",
            "/proxy/cart",
            "cart.shop.svc",
            json!({}),
        )]))
        .await?;
    world.wait_for("xapi/v1.shop.example.io", "Ready").await?;
    world.wait_for("rp/cart", "Ready").await?;
    world
        .wait_condition("rp/orders", "Ready", "False", "BackendNotFound")
        .await?;
    world
        .wait_condition("rp/cart-copy", "Ready", "False", "Conflicted")
        .await?;
    world.wait_for("rp/orders", "Programmed").await?;

    let mut text = String::new();
    for command in [
        "get rp",
        "get xapi",
        "get genkan",
        "get rp -o wide",
        "describe rp orders",
        "describe rp cart-copy",
        "explain reverseproxy.spec.matcher",
        "explain reverseproxy.spec.directives.rewrite",
        "explain apiservice.spec --api-version=extensions.kubesphere.io/v1alpha1",
    ] {
        let args: Vec<&str> = command.split(' ').collect();
        text.push_str(&format!(
            "$ kubectl {command}\n{}\n",
            kubectl.run(&args).await?.trim_end()
        ));
        text.push('\n');
    }
    compare("kubectl.txt", &steady(&text))
}

/// Times, identifiers and ages replaced by words.
fn steady(text: &str) -> String {
    let mut lines = Vec::new();
    let mut events = false;
    for line in text.lines() {
        let mut words = line.to_owned();
        for key in [
            "Last Transition Time:",
            "Creation Timestamp:",
            "Resource Version:",
            "UID:",
        ] {
            if let Some(at) = words.find(key) {
                words.truncate(at + key.len());
                words.push_str(" ...");
            }
        }
        events = line.starts_with("Events:") || events && !line.is_empty();
        lines.push(ages(&words, events).trim_end().to_owned());
    }
    lines.join("\n") + "\n"
}

/// An age is a number with a unit; it decides how wide its column is, so the blanks beside it are made one width.
fn ages(line: &str, event: bool) -> String {
    let is_age = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(['s', 'm', 'h'])
            && word.chars().all(|c| c.is_ascii_digit() || "smh".contains(c))
    };
    if !event && !line.split(' ').any(|word| word == "AGE" || is_age(word)) {
        return line.to_owned();
    }
    let words = line
        .split_whitespace()
        .map(|word| if is_age(word) { "AGE" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Compares with a file in `golden/`; with `GENKAN_REWRITE=1` it writes the file instead.
fn compare(name: &str, text: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("GENKAN_REWRITE").is_some() {
        std::fs::create_dir_all(path.parent().context("the folder of the golden files")?)?;
        std::fs::write(&path, text)?;
        return Ok(());
    }
    let wanted = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    assert_eq!(
        text,
        wanted,
        "{} differs; `make golden` rewrites it",
        path.display()
    );
    Ok(())
}
