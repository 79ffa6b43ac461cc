use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use genkan_accept::{Closed, Places, Shares};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::retreat::Retreat;
use crate::tables::Current;
use crate::timestamp::Timestamp;

/// What the administration port shows.
#[derive(Debug, Clone)]
pub struct Admin {
    pub current: Arc<Current>,
    pub metrics: Arc<Metrics>,
    pub retreat: Arc<Retreat>,
}

// === impl Admin ===

impl Admin {
    /// Serves for ever.
    pub async fn serve(self, listener: TcpListener, closed: &Closed) -> Infallible {
        let router = self.router();
        let serve = move |stream, place| genkan_accept::serve_http1(stream, place, router.clone());
        genkan_accept::accept(listener, Places::new("admin", Shares::admin(), closed), serve).await
    }

    fn router(self) -> axum::Router {
        axum::Router::new()
            .route("/config", get(config))
            .route("/extensions", get(extensions))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn config(State(admin): State<Admin>) -> Json<Value> {
    let tables = admin.current.load();
    Json(
        json!({ "hash": tables.hash.to_string(), "sequence": tables.sequence, "kept": admin.current.kept_since().is_some() }),
    )
}

async fn extensions(State(admin): State<Admin>) -> Json<Value> {
    let tables = admin.current.load();
    let objections = tables.objections();
    let extensions = tables.extensions.iter().map(|extension| {
        let entries = extension.entries.iter().map(|entry| {
            let (state, message) = extension.state(entry, &objections);
            json!({ "name": entry.name, "digest": entry.digest, "state": state, "message": message.unwrap_or_default() })
        });
        json!({
            "name": extension.name,
            "revision": extension.revision,
            "entries": entries.collect::<Vec<_>>(),
            "requests": extension.tally.requests(),
            "errors": extension.tally.errors(),
        })
    });
    Json(extensions.collect())
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, Cow<'static, str>) {
    if let Some(why) = admin.retreat.why() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n").into());
    }
    if admin.current.load().sequence == 0 {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "no configuration has arrived yet\n".into(),
        );
    }
    let Some(at) = admin.current.kept_since() else {
        return (StatusCode::OK, "ok\n".into());
    };
    let text = format!(
        "ok, but the operator has said nothing yet: what is served was kept, and last confirmed at {}\n",
        &*Timestamp::of(at)
    );
    (StatusCode::OK, text.into())
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], admin.metrics.render())
}
