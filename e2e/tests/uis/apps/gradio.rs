//! Gradio: a page made of modules, and a queue whose events are streamed.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, Fault, From, Place, Recipe, Visit, Way};

pub fn recipe() -> Recipe {
    Recipe {
        name: "gradio",
        title: "Gradio",
        always: false,
        from: From::PyPi(include_str!("gradio/requirements.txt")),
        files: &[("app.py", include_str!("gradio/app.py"))],
        launch,
        ready: "/",
        start: "/",
        aware: Aware {
            setting: "`root_path`",
            strips: true,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[(Way::Markup, Fault::Fails("/gradio_api/"))],
    }
}

fn launch(place: &Place) -> Launch {
    place
        .launch("python")
        .args([place.file("app.py"), place.port()])
        .args(place.base.clone())
        .env("GRADIO_ANALYTICS_ENABLED", "False")
}

/// A name that is greeted through the queue.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("textarea, input[type=text]", visit.word).await?;
    page.click("button", "Submit").await?;
    let greeting = format!("Hello {}!", visit.word);
    page.wait_for("textarea, input[type=text]", &greeting).await
}
