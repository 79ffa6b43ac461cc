//! Verdaccio: a registry, whose page makes absolute links of the host that it sees.

use anyhow::Result;
use genkan_e2e::process::Launch;
use serde_json::json;

use crate::recipe::{Aware, Fault, From, Place, Recipe, Visit, Way};

pub fn recipe() -> Recipe {
    Recipe {
        name: "verdaccio",
        title: "Verdaccio",
        always: false,
        from: From::Npm(
            include_str!("verdaccio/package.json"),
            include_str!("verdaccio/package-lock.json"),
        ),
        files: &[
            ("config.yaml", include_str!("verdaccio/config.yaml")),
            ("htpasswd", include_str!("verdaccio/htpasswd")),
        ],
        launch,
        ready: "/-/ping",
        start: "/",
        aware: Aware {
            setting: "`url_prefix`",
            strips: true,
        },
        upstream: Some(|| json!({"host": {"mode": "Preserve"}})),
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[
            (Way::Markup, Fault::Fails("/-/static/")),
            (Way::Aware, Fault::Leaks("/-/static/")),
        ],
    }
}

fn launch(place: &Place) -> Launch {
    place.launch("verdaccio").args([
        "--config".to_owned(),
        place.file("config.yaml"),
        "--listen".to_owned(),
        place.address(),
    ])
}

/// In by the form.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.click("button", "Login").await?;
    page.fill("#login--dialog-username", "kim").await?;
    page.fill("#login--dialog-password", "a test of mine").await?;
    page.click("#login--dialog-button-submit", "").await?;
    page.click("#header--button-account", "").await?;
    page.wait_said("kim").await
}
