//! Datasette: pages made by the server, with forms for SQL.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "datasette",
        title: "Datasette",
        always: false,
        from: From::PyPi(include_str!("datasette/requirements.txt")),
        files: &[],
        launch,
        ready: "/",
        start: "/_memory",
        aware: Aware {
            setting: "`base_url`",
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
        .flat_map(|base| ["--setting".to_owned(), "base_url".to_owned(), format!("{base}/")]);
    place
        .launch("datasette")
        .args(["serve", "--memory", "--host", "127.0.0.1", "--port"])
        .arg(place.port())
        .args(base)
}

/// A question in SQL, and its answer.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill(
        "textarea[name=sql], .CodeMirror, .cm-content",
        &format!("select '{}' || (6 * 7) as answer", visit.word),
    )
    .await?;
    page.click("input[type=submit]", "").await?;
    page.wait_for("td.col-answer", &format!("{}42", visit.word)).await
}
