//! The port itself.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context, Result};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::credential::Credential;
use super::destination::Destination;
use super::guard;

use crate::sentence::sentence;

type Body = Either<Incoming, Full<Bytes>>;

/// Read where `Authorization` is empty; it must not stand beside ours.
const KUBESPHERE_AUTHORIZATION: HeaderName = HeaderName::from_static("x-kubesphere-authorization");

/// One connection of a client, and the one that its requests go over.
struct Pair {
    port: u16,
    destination: Arc<Destination>,
    credential: Arc<Credential>,
    /// Only what is below it is sent on: a page must not reach everything that its reader may.
    folder: Option<Arc<str>>,
    /// Requests of one connection come one after the other.
    onward: Mutex<Option<SendRequest<Incoming>>>,
}

/// Serves for ever.
pub(super) async fn serve(
    listener: TcpListener,
    destination: Arc<Destination>,
    credential: Arc<Credential>,
    folder: Option<String>,
) -> Result<()> {
    let folder: Option<Arc<str>> = folder.map(Into::into);
    let port = listener.local_addr()?.port();
    loop {
        let (stream, _) = listener.accept().await.context("no connection can be accepted")?;
        let pair = Arc::new(Pair {
            port,
            destination: Arc::clone(&destination),
            credential: Arc::clone(&credential),
            folder: folder.clone(),
            onward: Mutex::default(),
        });
        tokio::spawn(converse(stream, pair));
    }
}

async fn converse(stream: TcpStream, pair: Arc<Pair>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let pair = Arc::clone(&pair);
        async move { Ok::<_, Infallible>(pair.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that goes away is no news.
    let _ = connection.await;
}

// === impl Pair ===

impl Pair {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(objection) = guard::objection(request.method(), request.headers(), self.port) {
            return say(StatusCode::FORBIDDEN, objection.to_owned());
        }
        if let Some(folder) = self
            .folder
            .as_deref()
            .filter(|folder| !request.uri().path().starts_with(folder))
        {
            let objection = format!(
                "this port was opened for what is below {folder}; genkan proxy opens one for everything"
            );
            return say(StatusCode::FORBIDDEN, objection);
        }
        match self.forward(request).await {
            Ok(response) => response,
            Err(error) => say(StatusCode::BAD_GATEWAY, sentence(error.as_ref())),
        }
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<Body>> {
        self.dress(&mut request).await?;
        let from_client = hyper::upgrade::on(&mut request);
        let mut onward = self.onward.lock().await;
        let mut sender = match onward.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender
            .ready()
            .await
            .context("the connection to the data plane broke")?;
        let mut response = sender
            .send_request(request)
            .await
            .context("the data plane gave no answer")?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let from_server = hyper::upgrade::on(&mut response);
            tokio::spawn(async move {
                if let (Ok(client), Ok(server)) = (from_client.await, from_server.await) {
                    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        } else {
            *onward = Some(sender);
        }
        Ok(response.map(Either::Left))
    }

    /// Makes it a request of the user.
    async fn dress(&self, request: &mut Request<Incoming>) -> Result<()> {
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or(PathAndQuery::from_static("/")));
        let credential = self.credential.header().await?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(self.destination.authority())?);
        headers.remove(KUBESPHERE_AUTHORIZATION);
        headers.remove(AUTHORIZATION);
        if let Some(credential) = credential {
            headers.insert(AUTHORIZATION, credential);
        }
        Ok(())
    }

    async fn connect(&self) -> Result<SendRequest<Incoming>> {
        let stream = TokioIo::new(self.destination.connect().await?);
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .preserve_header_case(true)
            .handshake(stream)
            .await
            .context("the data plane does not speak HTTP")?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

fn say(status: StatusCode, sentence: String) -> Response<Body> {
    let body = Full::from(format!("genkan proxy: {sentence}\n"));
    let mut response = Response::new(Either::Right(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
