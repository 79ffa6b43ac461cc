//! Node-RED: an editor in the page, told over a WebSocket what its flows do.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "node-red",
        title: "Node-RED",
        always: false,
        from: From::Npm(
            include_str!("node-red/package.json"),
            include_str!("node-red/package-lock.json"),
        ),
        files: &[
            ("settings.js", include_str!("node-red/settings.js")),
            ("flows.json", include_str!("node-red/flows.json")),
        ],
        launch,
        ready: "/",
        start: "/",
        aware: Aware {
            setting: "`httpRoot`",
            strips: false,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[],
    }
}

fn launch(place: &Place) -> Launch {
    place
        .launch("node-red")
        .args([
            "--settings".to_owned(),
            place.file("settings.js"),
            "--userDir".to_owned(),
        ])
        .arg(place.folder.display().to_string())
}

/// A message that is sent through a flow, and what comes out of it.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.click("#red-ui-tab-debug-link-button", "").await?;
    page.click(".red-ui-flow-node-button-button", "").await?;
    page.wait_for(".red-ui-debug-msg-payload", "42").await
}
