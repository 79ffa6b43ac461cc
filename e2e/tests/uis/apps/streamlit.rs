//! Streamlit: a page that is told over a WebSocket what it shows.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "streamlit",
        title: "Streamlit",
        always: false,
        from: From::PyPi(include_str!("streamlit/requirements.txt")),
        files: &[("app.py", include_str!("streamlit/app.py"))],
        launch,
        ready: "/_stcore/health",
        start: "/",
        aware: Aware {
            setting: "`server.baseUrlPath`",
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
        .map(|base| format!("--server.baseUrlPath={base}"));
    place
        .launch("streamlit")
        .args([
            "run".to_owned(),
            place.file("app.py"),
            "--server.port".to_owned(),
            place.port(),
        ])
        .args([
            "--server.address=127.0.0.1",
            "--server.headless=true",
            "--browser.gatherUsageStats=false",
        ])
        .args(base)
}

/// A name that is greeted by the server.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("input[type=text]", visit.word).await?;
    page.enter().await?;
    page.wait_said(&format!("Hello {}!", visit.word)).await
}
