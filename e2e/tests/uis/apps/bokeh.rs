//! Bokeh: a document that is kept the same on both sides of a WebSocket.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "bokeh",
        title: "Bokeh",
        always: false,
        from: From::PyPi(include_str!("bokeh/requirements.txt")),
        files: &[("app.py", include_str!("bokeh/app.py"))],
        launch,
        ready: "/app",
        start: "/app",
        aware: Aware {
            setting: "`--prefix`",
            strips: false,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[],
    }
}

/// The origin that it lets in is its own: what genkan makes of that of its pages.
fn launch(place: &Place) -> Launch {
    let prefix = place
        .base
        .iter()
        .flat_map(|base| ["--prefix".to_owned(), base.clone()]);
    place
        .launch("bokeh")
        .args([
            "serve".to_owned(),
            place.file("app.py"),
            "--port".to_owned(),
            place.port(),
        ])
        .args(["--address", "127.0.0.1", "--allow-websocket-origin"])
        .arg(place.address())
        .args(prefix)
}

/// A name that is greeted by the server.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("input", visit.word).await?;
    page.enter().await?;
    page.wait_said(&format!("Hello {}!", visit.word)).await
}
