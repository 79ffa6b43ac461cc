//! Transmission: a page that asks one address for everything, with a session of its own making.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "transmission",
        title: "Transmission",
        always: false,
        from: From::Debian {
            package: "transmission-daemon",
            program: "transmission-daemon",
        },
        files: &[("settings.json", include_str!("transmission/settings.json"))],
        launch,
        ready: "/transmission/web/",
        start: "/transmission/web/",
        aware: Aware {
            setting: "`rpc-url`",
            strips: false,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &["409 (Conflict)"],
        faults: &[],
    }
}

fn launch(place: &Place) -> Launch {
    place
        .launch("transmission-daemon")
        .args([
            "--foreground",
            "--no-auth",
            "--no-portmap",
            "--rpc-bind-address",
            "127.0.0.1",
        ])
        .args([
            "--port".to_owned(),
            place.port(),
            "--peerport".to_owned(),
            (place.port + 10_000).to_string(),
        ])
        .args(["--config-dir".to_owned(), place.folder.display().to_string()])
}

/// A torrent that is added and listed.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    let hash: String = visit
        .word
        .bytes()
        .cycle()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    page.click("#toolbar-open", "").await?;
    page.fill(
        "#torrent_upload_url",
        &format!("magnet:?xt=urn:btih:{hash}&dn=by-{}", visit.word),
    )
    .await?;
    page.click("#upload_confirm_button", "").await?;
    page.wait_for(".torrent_name", &format!("by-{}", visit.word))
        .await
}
