//! The administration listener: what is published, and whether this process is well.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use genkan_accept::{Places, Shares};
use parking_lot::RwLock;
use serde_json::json;
use tokio::net::TcpListener;

use crate::engine::View;
use crate::metrics::Metrics;
use crate::pki::keep::Serving;

#[derive(Clone)]
struct Admin {
    view: Arc<RwLock<View>>,
    metrics: Arc<Metrics>,
    serving: Option<Arc<Serving>>,
}

/// Serves until the process ends.
pub async fn serve(
    listener: TcpListener,
    view: Arc<RwLock<View>>,
    metrics: Arc<Metrics>,
    serving: Option<Arc<Serving>>,
) -> Infallible {
    let places = Places::new("admin", Shares::admin(), &metrics.connections_closed);
    let router = Router::new()
        .route("/config", get(config))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Admin {
            view,
            metrics,
            serving,
        });
    let serve = move |stream, place| genkan_accept::serve_http1(stream, place, router.clone());
    genkan_accept::accept(listener, places, serve).await
}

async fn config(State(admin): State<Admin>) -> impl IntoResponse {
    let view = admin.view.read();
    Json(json!({"hash": view.hash, "sequence": view.sequence}))
}

/// Ready as soon as the streams have something to say; whether status is written does not matter for that.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let view = admin.view.read();
    if admin.serving.as_ref().is_some_and(|serving| !serving.is_ready()) {
        let why = "waiting for the certificate of the configuration stream; the log says why".to_string();
        (StatusCode::SERVICE_UNAVAILABLE, why)
    } else if view.synced {
        (StatusCode::OK, format!("ok{}", absent(&view)))
    } else {
        let missing = view.missing.join(", ");
        let why = format!("waiting for the first list of {missing}{}", absent(&view));
        (StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

/// A line for each kind that cannot be read, ready or not.
fn absent(view: &View) -> String {
    let lines = view.absent.iter();
    lines
        .map(|(kind, absence)| format!("\n{kind}: {absence}"))
        .collect()
}

async fn metrics_text(State(admin): State<Admin>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(axum::http::header::CONTENT_TYPE, kind)], admin.metrics.text())
}
