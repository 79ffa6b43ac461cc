//! Locust: forms that start a run, and a page that asks for its numbers all the time.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "locust",
        title: "Locust",
        always: false,
        from: From::PyPi(include_str!("locust/requirements.txt")),
        files: &[("locustfile.py", include_str!("locust/locustfile.py"))],
        launch,
        ready: "/",
        start: "/",
        aware: Aware {
            setting: "`--web-base-path`",
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
        .flat_map(|base| ["--web-base-path".to_owned(), base.clone()]);
    place
        .launch("locust")
        .args([
            "--locustfile".to_owned(),
            place.file("locustfile.py"),
            "--web-port".to_owned(),
            place.port(),
        ])
        .args(["--web-host", "127.0.0.1", "--host", "http://127.0.0.1"])
        .args(base)
}

/// A run that is started and shows its numbers, and is stopped again.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.wait("(find('button', 'New') ?? find('button', 'Start')) !== null")
        .await?;
    if page.evaluate("find('button', 'New') !== null").await? == true {
        // The run of an earlier visit.
        page.click("button", "New").await?;
    }
    page.click("button[type=submit]", "Start").await?;
    page.wait_said("a task of mine").await?;
    page.click("button", "Stop").await?;
    page.wait_for("button, a", "New").await
}
