//! Prometheus: forms, and scripts that ask for what they show.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, Fault, From, Place, Recipe, Visit, Way};

pub fn recipe() -> Recipe {
    Recipe {
        name: "prometheus",
        title: "Prometheus",
        always: false,
        from: From::Debian {
            package: "prometheus",
            program: "prometheus",
        },
        files: &[("prometheus.yml", include_str!("prometheus/prometheus.yml"))],
        launch,
        ready: "/-/ready",
        start: "/",
        aware: Aware {
            setting: "`--web.external-url`",
            strips: false,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &["Unexpected token 'export'"],
        faults: &[(Way::Markup, Fault::Fails("/classic/static/"))],
    }
}

fn launch(place: &Place) -> Launch {
    let base = place
        .base
        .iter()
        .map(|base| format!("--web.external-url={base}/"));
    place
        .launch("prometheus")
        .arg(format!("--config.file={}", place.file("prometheus.yml")))
        .arg(format!("--storage.tsdb.path={}", place.file("data")))
        .arg(format!("--web.listen-address={}", place.address()))
        .args(base)
}

/// A question in its language, and its answer.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("textarea", "6 * 7").await?;
    page.click("input[type=submit], button", "Execute").await?;
    page.wait_for("td", "42").await
}
