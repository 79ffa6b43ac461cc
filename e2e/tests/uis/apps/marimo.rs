//! marimo: a notebook as an application, its cells run by a kernel behind a WebSocket.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "marimo",
        title: "marimo",
        always: false,
        from: From::PyPi(include_str!("marimo/requirements.txt")),
        files: &[("app.py", include_str!("marimo/app.py"))],
        launch,
        ready: "/health",
        start: "/",
        aware: Aware {
            setting: "`--base-url`",
            strips: false,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[],
    }
}

fn launch(place: &Place) -> Launch {
    let base = place
        .base
        .iter()
        .flat_map(|base| ["--base-url".to_owned(), base.clone()]);
    place
        .launch("marimo")
        .args([
            "run".to_owned(),
            place.file("app.py"),
            "--port".to_owned(),
            place.port(),
        ])
        .args(["--host", "127.0.0.1", "--headless", "--no-token"])
        .args(base)
}

/// A name that is greeted by the kernel.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("input[type=text]", visit.word).await?;
    page.enter().await?;
    page.wait_said(&format!("Hello {}!", visit.word)).await
}
