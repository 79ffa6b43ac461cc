//! The port itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use genkan_accept::{Call, Closed, Place, Places, Shares, share};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, REFERER};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Either, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::credential::Credential;
use super::destination::Destination;
use super::guard;

use genkan_compile::sentence::sentence;

type Body = Either<Incoming, Full<Bytes>>;

/// Read where `Authorization` is empty; it must not stand beside ours.
const KUBESPHERE_AUTHORIZATION: HeaderName = HeaderName::from_static("x-kubesphere-authorization");

/// Hundredths of the open files.
const CLIENTS: usize = 45;
const HEAD: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(75);
/// To the head of an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// To the data plane, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// What a port is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    /// Only what is below it is sent on: a page must not reach everything that its reader may.
    pub(super) folder: Option<Arc<str>>,
    /// A UI that is at the root of a name of its own.
    pub(super) app: Option<Arc<str>>,
}

/// One connection of a client, and the one that its requests go over.
struct Pair {
    port: u16,
    place: Place,
    destination: Arc<Destination>,
    credential: Arc<Credential>,
    served: Served,
    /// Requests of one connection come one after the other.
    onward: Mutex<Option<SendRequest<Incoming>>>,
}

/// Serves for ever.
pub(super) async fn serve(
    listener: TcpListener,
    destination: Arc<Destination>,
    credential: Arc<Credential>,
    served: Served,
) -> Result<()> {
    let port = listener.local_addr()?.port();
    genkan_accept::raise_limit();
    let places = Places::new("proxy", shares(), &Closed::default());
    let serve = move |stream, place| {
        let pair = Pair {
            port,
            place,
            destination: Arc::clone(&destination),
            credential: Arc::clone(&credential),
            served: served.clone(),
            onward: Mutex::default(),
        };
        converse(stream, Arc::new(pair))
    };
    match genkan_accept::accept(listener, places, serve).await {}
}

/// Everybody who may use the port is on this machine; each request takes a second file on its way.
fn shares() -> Shares {
    let most = share(CLIENTS);
    Shares {
        most,
        most_waiting: most,
        most_waiting_of_one: most,
        first: HEAD,
        next: IDLE,
    }
}

async fn converse(stream: TcpStream, pair: Arc<Pair>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let pair = Arc::clone(&pair);
        async move {
            // It lasts until the answer has ended, and for a tunnel as long as that.
            let call = Arc::new(pair.place.begin().ok_or(io::ErrorKind::TimedOut)?);
            let response = pair.answer(request, &call).await;
            let hold = move |frame| {
                let _call = &call;
                frame
            };
            Ok::<_, io::Error>(response.map(|body| body.map_frame(hold)))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that goes away is no news.
    let _ = connection.await;
}

// === impl Pair ===

impl Pair {
    async fn answer(&self, request: Request<Incoming>, call: &Arc<Call>) -> Response<Body> {
        let app = self.served.app.as_deref();
        if let Some(objection) = guard::objection(request.method(), request.headers(), self.port, app) {
            return say(StatusCode::FORBIDDEN, objection.to_owned());
        }
        let is_of_app = guard::is_app(guard::host_of(request.headers()), self.port, app);
        let outside = |folder: &&str| !is_of_app && !request.uri().path().starts_with(folder);
        if let Some(folder) = self.served.folder.as_deref().filter(outside) {
            let objection = format!(
                "this port was opened for what is below {folder}; genkan proxy opens one for everything"
            );
            return say(StatusCode::FORBIDDEN, objection);
        }
        match self.forward(request, call, is_of_app).await {
            Ok(response) => response,
            Err(error) => say(StatusCode::BAD_GATEWAY, sentence(error.as_ref())),
        }
    }

    async fn forward(
        &self,
        mut request: Request<Incoming>,
        call: &Arc<Call>,
        is_of_app: bool,
    ) -> Result<Response<Body>> {
        self.dress(&mut request, is_of_app).await?;
        let from_client = hyper::upgrade::on(&mut request);
        let mut onward = self.onward.lock().await;
        let mut sender = match onward.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => connect(&self.destination).await?,
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
            let (from_server, call) = (hyper::upgrade::on(&mut response), Arc::clone(call));
            tokio::spawn(async move {
                let _call = call;
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
    async fn dress(&self, request: &mut Request<Incoming>, is_of_app: bool) -> Result<()> {
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or(PathAndQuery::from_static("/")));
        let credential = self.credential.header().await?;
        let headers = request.headers_mut();
        if let Some((scheme, authority)) = self.destination.origin().filter(|_| !is_of_app) {
            let here = headers.insert(HOST, HeaderValue::from_str(authority)?);
            // Pages of this port are pages of the data plane.
            let here = [
                &b"http://"[..],
                here.as_ref().map_or(&b""[..], HeaderValue::as_bytes),
            ]
            .concat();
            for name in [ORIGIN, REFERER] {
                let value = headers.get(&name).map(HeaderValue::as_bytes);
                let Some(rest) = value.and_then(|value| value.strip_prefix(here.as_slice())) else {
                    continue;
                };
                if matches!(rest, [] | [b'/' | b'?', ..]) {
                    let there = [scheme.as_bytes(), b"://", authority.as_bytes(), rest].concat();
                    headers.insert(name, HeaderValue::from_bytes(&there)?);
                }
            }
        }
        headers.remove(KUBESPHERE_AUTHORIZATION);
        headers.remove(AUTHORIZATION);
        if let Some(credential) = credential {
            headers.insert(AUTHORIZATION, credential);
        }
        Ok(())
    }
}

async fn connect<B>(destination: &Destination) -> Result<SendRequest<B>>
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connecting = timeout(CONNECT, destination.connect()).await;
    let stream = connecting.map_err(|_| anyhow!("the data plane was not reached within 10 s"))??;
    let stream = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(stream)
        .await
        .context("the data plane does not speak HTTP")?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// Whether a data plane knows a UI by this name below `localhost`, and nothing else by names there.
///
/// # Errors
/// When it cannot be asked.
pub(super) async fn has_app(destination: &Destination, credential: &Credential, name: &str) -> Result<bool> {
    // One that does not know names, or does not take us for a neighbour, has the UI below its path.
    let (nobody, path) = (format!("no.{name}.localhost"), format!("/proxy/{name}/"));
    if ask(destination, credential, &nobody, &path).await? != Some(false) {
        return Ok(false);
    }
    let app = format!("{name}.localhost");
    Ok(ask(destination, credential, &app, "/").await? != Some(false))
}

/// Whether something is published there; absent where nobody has said so in time.
async fn ask(
    destination: &Destination,
    credential: &Credential,
    host: &str,
    path: &str,
) -> Result<Option<bool>> {
    let mut sender = connect::<Empty<Bytes>>(destination).await?;
    let mut request = Request::get(path).header(HOST, host);
    if let Some(credential) = credential.header().await? {
        request = request.header(AUTHORIZATION, credential);
    }
    let asking = timeout(ANSWER, sender.send_request(request.body(Empty::new())?)).await;
    let Ok(answer) = asking else { return Ok(None) };
    let answer = answer.context("the data plane gave no answer")?;
    let reason = answer.headers().get(genkan_routing::answer::REASON);
    Ok(Some(reason.is_none_or(|reason| {
        reason != genkan_routing::answer::reason::NO_ROUTE_MATCHED
    })))
}

fn say(status: StatusCode, sentence: String) -> Response<Body> {
    let body = Full::from(format!("genkan proxy: {sentence}\n"));
    let mut response = Response::new(Either::Right(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use kube::Config;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    /// The port, before a data plane that accepts connections and says nothing.
    async fn mk_port() -> SocketAddr {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", silent.local_addr().unwrap())
            .parse()
            .unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok(accepted) = silent.accept().await {
                held.push(accepted);
            }
        });
        let mut config = Config::new("https://127.0.0.1".parse().unwrap());
        config.auth_info.token = Some("token".to_owned().into());
        let credential = Credential::of(&config).unwrap();
        let destination = Destination::url(&url, None, &credential).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(
            listener,
            Arc::new(destination),
            Arc::new(credential),
            Served::default(),
        ));
        address
    }

    /// Says this and reads until the other end closes: what came, and in which second that was.
    async fn converse(address: SocketAddr, said: &str) -> (String, u64) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let start = Instant::now();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut read = String::new();
        stream.read_to_string(&mut read).await.unwrap();
        (read, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn the_port_waits_for_nobody_for_ever() {
        let address = mk_port().await;
        assert_eq!(converse(address, "").await, (String::new(), 10));
        let (read, after) = converse(address, "GET / HTTP/1.1\r\nHo").await;
        assert!(read.is_empty() && after == 10, "{read} after {after} s");
        let (read, after) = converse(address, "GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n").await;
        assert!(
            read.starts_with("HTTP/1.1 403") && after == 75,
            "{read} after {after} s"
        );
        let ask = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let (read, after) = converse(address, &ask).await;
        assert!(read.starts_with("HTTP/1.1 502"), "{read}");
        assert!(read.contains("not reached within 10 s"), "{read}");
        assert_eq!(after, 10 + 75);
    }
}
