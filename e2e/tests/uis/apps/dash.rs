//! Dash: a page with a router, which asks its server for everything that it shows.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, Fault, From, Place, Recipe, Visit, Way};

pub fn recipe() -> Recipe {
    Recipe {
        name: "dash",
        title: "Dash",
        always: true,
        from: From::PyPi(include_str!("dash/requirements.txt")),
        files: &[("app.py", include_str!("dash/app.py"))],
        launch,
        ready: "/",
        start: "/",
        aware: Aware {
            setting: "`url_base_pathname`",
            strips: false,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[
            (Way::Markup, Fault::Fails("/_dash-layout")),
            (Way::Full, Fault::Lost),
        ],
    }
}

fn launch(place: &Place) -> Launch {
    place
        .launch("python")
        .args([place.file("app.py"), place.port()])
        .args(place.base.clone())
}

/// To another page by its router, and a name that is greeted.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.wait_said("home").await?;
    page.click("nav a", "greeting").await?;
    page.fill("#name", visit.word).await?;
    page.wait_said(&format!("Hello {}!", visit.word)).await
}
