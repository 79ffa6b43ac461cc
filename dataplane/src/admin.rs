use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use genkan_accept::{Closed, Places, Shares};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::tables::Current;
use crate::timestamp::Timestamp;

/// What the administration port shows.
#[derive(Debug, Clone)]
pub struct Admin {
    pub current: Arc<Current>,
    pub metrics: Arc<Metrics>,
    pub is_draining: Arc<AtomicBool>,
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

async fn ready(State(admin): State<Admin>) -> (StatusCode, Cow<'static, str>) {
    if admin.is_draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into());
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
