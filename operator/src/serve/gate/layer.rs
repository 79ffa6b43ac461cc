use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use genkan_accept::Place;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tower::{Layer, Service};

use super::Gate;

/// Puts the gate in front of every path of the server, those that nobody serves too.
#[derive(Clone, Debug)]
pub struct GateLayer {
    /// `None` in plain text: whoever reaches that port is a proxy.
    pub gate: Option<Arc<Gate>>,
}

#[derive(Clone, Debug)]
pub struct Guarded<S> {
    gate: Option<Arc<Gate>>,
    inner: S,
}

impl<S> Layer<S> for GateLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            gate: self.gate.clone(),
            inner,
        }
    }
}

impl<S, In, Out> Service<Request<In>> for Guarded<S>
where
    S: Service<Request<In>, Response = Response<Out>> + Clone + Send + 'static,
    S::Future: Send,
    In: Send + 'static,
    Out: Default,
{
    type Response = Response<Out>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Out>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<In>) -> Self::Future {
        // The one that was polled to be ready is the one to call.
        let other = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, other);
        let Some(gate) = self.gate.clone() else {
            return Box::pin(async move { inner.call(request).await });
        };
        Box::pin(async move {
            match gate.admit(request.headers()).await {
                Ok(caller) => {
                    request.headers_mut().remove(AUTHORIZATION);
                    request.extensions_mut().insert(caller);
                    inner.call(request).await
                }
                Err(refusal) => {
                    gate.refused(&refusal, request.uri().path(), &peer(&request));
                    Ok(refusal.status().into_http())
                }
            }
        })
    }
}

fn peer<B>(request: &Request<B>) -> String {
    let place = request.extensions().get::<Place>();
    place.map_or_else(|| "unknown".to_owned(), |place| place.peer().to_string())
}
