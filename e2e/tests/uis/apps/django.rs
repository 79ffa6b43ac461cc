//! The admin of Django: a log-in and forms, each guarded against other sites.

use anyhow::Result;
use genkan_e2e::process::Launch;

use crate::recipe::{Aware, From, Place, Recipe, Visit};

pub fn recipe() -> Recipe {
    Recipe {
        name: "django",
        title: "Django admin",
        always: true,
        from: From::PyPi(include_str!("django/requirements.txt")),
        files: &[("app.py", include_str!("django/app.py"))],
        launch,
        ready: "/admin/login/",
        start: "/admin/",
        aware: Aware {
            setting: "`FORCE_SCRIPT_NAME`",
            strips: true,
        },
        upstream: None,
        act: |visit| Box::pin(act(visit)),
        noise: &[],
        faults: &[],
    }
}

fn launch(place: &Place) -> Launch {
    place
        .launch("python")
        .args([place.file("app.py"), place.port()])
        .args(place.base.clone())
}

/// In by the form, and a group that is made and listed.
async fn act(visit: &Visit) -> Result<()> {
    let page = &visit.page;
    page.fill("#id_username", "kim").await?;
    page.fill("#id_password", "a test of mine").await?;
    page.click("input[type=submit]", "").await?;
    page.click("a", "Groups").await?;
    page.click("a.addlink", "Add group").await?;
    page.fill("#id_name", visit.word).await?;
    page.click("input[name=_save]", "").await?;
    page.wait_for(".messagelist .success", visit.word).await?;
    page.wait_for("#result_list a", visit.word).await
}
