//! NiceGUI: everything that happens goes through a WebSocket.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "nicegui",
        title: "NiceGUI",
        always: true,
        from: From::PyPi(include_str!("nicegui/requirements.txt")),
        files: &[("app.py", include_str!("nicegui/app.py"))],
        launch,
        ready: "/",
        start: "/",
        aware: Aware {
            setting: "`X-Forwarded-Prefix` is enough",
            strips: true,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[],
    }
}

fn launch(place: &Place) -> Launch {
    place.launch("python").args([place.file("app.py"), place.port()])
}

/// A name that is greeted by the server.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("input[aria-label=Name]", visit.word).await?;
    page.wait_said(&format!("Hello {}!", visit.word)).await
}
