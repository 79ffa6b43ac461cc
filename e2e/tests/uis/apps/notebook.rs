//! Jupyter: a log-in, and a notebook whose kernel is reached through a WebSocket.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, Fault, From, Place, Recipe, Visit, Way};

pub fn recipe() -> Recipe {
    Recipe {
        name: "notebook",
        title: "Jupyter notebook",
        always: false,
        from: From::PyPi(include_str!("notebook/requirements.txt")),
        files: &[("hello.ipynb", include_str!("notebook/hello.ipynb"))],
        launch,
        ready: "/login",
        start: "/notebooks/hello.ipynb",
        aware: Aware {
            setting: "`--ServerApp.base_url`",
            strips: false,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &["reading 'schema'"],
        faults: &[(Way::Markup, Fault::Fails("/static/notebook/"))],
    }
}

/// It is there, this page is connected to it, and it has said that it is idle.
const KERNEL: &str = "(await (await fetch(`${JSON.parse(document.getElementById('jupyter-config-data').textContent).baseUrl}api/kernels`)).json())\
    .some(kernel => kernel.execution_state === 'idle' && kernel.connections > 0)";

fn launch(place: &Place) -> Launch {
    let base = place
        .base
        .iter()
        .map(|base| format!("--ServerApp.base_url={base}/"));
    place
        .launch("jupyter")
        .args([
            "notebook",
            "--no-browser",
            "--allow-root",
            "--ip=127.0.0.1",
            "--IdentityProvider.token=token-of-mine",
        ])
        .arg(format!("--port={}", place.port))
        .arg(format!("--ServerApp.root_dir={}", place.folder.display()))
        .args(base)
}

/// In by the form, and a cell that is run.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("#password_input", "token-of-mine").await?;
    page.click("#login_submit", "").await?;
    page.click(".jp-Cell .cm-content", "6 * 7").await?;
    page.wait(KERNEL).await?;
    page.click("[data-command='notebook:run-cell-and-select-next']", "")
        .await?;
    page.wait_for(".jp-OutputArea-output", "Hello 42").await
}
