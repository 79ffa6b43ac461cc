use std::time::Duration;

use anyhow::{Result, bail};
use genkan_e2e::http1;
use genkan_e2e::product::Source;
use genkan_e2e::world::{Addresses, Product, World};
use serde_json::json;
use tokio::time::Instant;

use crate::table::{at, ms};

const CHANGES: usize = 100;

/// From the moment at which one file stands there anew to the answer that shows it, beside so many other files.
pub async fn times(world: &World, files: usize) -> Result<[String; 5]> {
    let backend = world.backend("bench", 8080).await?;
    let folder = world.folder("folder")?;
    let objects = folder.join("objects");
    std::fs::create_dir_all(&objects)?;
    let url = format!("http://{}", backend.address);
    for n in 0..files {
        std::fs::write(
            objects.join(format!("other-{n}.yaml")),
            manifest(&format!("other-{n}"), &url, 0),
        )?;
    }
    let source = Source::Folder(objects.clone());
    let product = Product::launch(world.programs(), &folder, &source, Addresses::default(), &[]).await?;
    product.in_step().await?;
    let mut times = Vec::with_capacity(CHANGES);
    for n in 1..=CHANGES {
        let next = folder.join("next.yaml");
        std::fs::write(&next, manifest("other-7", &url, n))?;
        let begin = Instant::now();
        std::fs::rename(&next, objects.join("other-7.yaml"))?;
        loop {
            let answer = http1::get(product.proxies[0].listen, "/proxy/other-7/x").await?;
            if answer.header("x-change") == Some(&n.to_string()) {
                break;
            }
            if begin.elapsed() > Duration::from_secs(20) {
                bail!("change {n} was not served");
            }
        }
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok([
        files.to_string(),
        CHANGES.to_string(),
        ms(at(&times, 50)),
        ms(at(&times, 99)),
        ms(at(&times, 100)),
    ])
}

fn manifest(name: &str, url: &str, n: usize) -> String {
    json!({
        "apiVersion": "extensions.kubesphere.io/v1alpha1",
        "kind": "ReverseProxy",
        "metadata": {"name": name},
        "spec": {
            "matcher": {"path": format!("/proxy/{name}/*"), "method": "*"},
            "upstream": {"url": url},
            "directives": {"headerDown": [format!("X-Change {n}")]},
        },
    })
    .to_string()
}
