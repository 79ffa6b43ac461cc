//! Archives and files of extensions that stand on web servers: fetched by address and hash, once, where that is switched on.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use genkan_compile::fetched::{Fetch, Fetched};
use genkan_compile::index::Change;
use genkan_extensions::digest::hex_of;
use genkan_routing::dialling;
use http::header::{AUTHORIZATION, LOCATION};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::input::Input;

/// Bytes of what is fetched.
const LARGEST: usize = 64 << 20;
const MOST_REDIRECTS: usize = 3;
/// Files at once.
const AT_ONCE: usize = 2;
/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(30);

/// All that is wanted now.
#[derive(Debug, Default)]
pub struct Wishes {
    all: Mutex<Option<Vec<Fetch>>>,
    some: Notify,
}

// === impl Wishes ===

impl Wishes {
    pub fn say(&self, all: Vec<Fetch>) {
        *self.all.lock() = Some(all);
        self.some.notify_one();
    }

    async fn next(&self) -> Vec<Fetch> {
        loop {
            if let Some(all) = self.all.lock().take() {
                return all;
            }
            self.some.notified().await;
        }
    }
}

/// Fetches what is wanted until the engine is gone.
pub async fn run(wishes: Arc<Wishes>, engine: mpsc::Sender<Input>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way: BTreeMap<Fetch, Guard> = BTreeMap::new();
    while !engine.is_closed() {
        let wanted = wishes.next().await;
        under_way.retain(|fetch, _| wanted.contains(fetch));
        for fetch in wanted {
            let (turns, engine) = (Arc::clone(&turns), engine.clone());
            under_way.entry(fetch).or_insert_with_key(|fetch| {
                let task = tokio::spawn(persist(fetch.clone(), turns, engine));
                Guard(task.abort_handle())
            });
        }
    }
}

/// A task ends with whoever wanted it.
struct Guard(AbortHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tries until it has what the hash says.
async fn persist(fetch: Fetch, turns: Arc<Semaphore>, engine: mpsc::Sender<Input>) {
    loop {
        // Each may need a lot of memory.
        let turn = turns.acquire().await;
        let fetched = match tokio::time::timeout(fetch.timeout, get(&fetch)).await {
            Ok(Ok(bytes)) => match hex_of(&bytes) {
                got if got == fetch.sha256 => Fetched::Found(bytes.to_vec().into()),
                got => Fetched::Another(got),
            },
            Ok(Err(problem)) => Fetched::Failed(format!("{}: {problem}", fetch.url)),
            Err(_) => Fetched::Failed(format!("{}: no answer within {:?}", fetch.url, fetch.timeout)),
        };
        let is_found = matches!(fetched, Fetched::Found(_));
        match &fetched {
            Fetched::Found(bytes) => info!(
                url = fetch.url,
                bytes = bytes.len(),
                "fetched for a GatewayExtension"
            ),
            Fetched::Another(got) => warn!(
                url = fetch.url,
                got,
                expected = fetch.sha256,
                "what was fetched for a GatewayExtension is another file; trying again"
            ),
            Fetched::Failed(problem) => {
                warn!(problem, "cannot be fetched for a GatewayExtension; trying again")
            }
        }
        drop(turn);
        let change = Change::Fetched(fetch.clone(), fetched);
        if engine.send(Input::Changes(vec![change])).await.is_err() || is_found {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// # Errors
/// Why there is nothing: one sentence without a value of a Secret.
async fn get(fetch: &Fetch) -> Result<Bytes, String> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector(fetch)?);
    let mut url: Uri = fetch.url.parse().map_err(|_| "not a URL".to_owned())?;
    let first = origin(&url);
    for _ in 0..=MOST_REDIRECTS {
        refuse_address(&url)?;
        let mut request = Request::get(url.clone());
        // No other host learns what the first one is told.
        if let Some(value) = fetch.authorization.as_ref().filter(|_| origin(&url) == first) {
            request = request.header(AUTHORIZATION, value.as_str());
        }
        let request = request
            .body(Empty::new())
            .map_err(|_| "it cannot be asked for".to_owned())?;
        let answer = client.request(request).await.map_err(|error| told(&error))?;
        match answer.status() {
            StatusCode::OK => {
                let body = Limited::new(answer.into_body(), LARGEST).collect().await;
                let body = body.map_err(|_| format!("it broke off, or has more than {LARGEST} bytes"))?;
                return Ok(body.to_bytes());
            }
            status if status.is_redirection() => {
                let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                url = redirected(&url, to.unwrap_or_default())?;
            }
            status => return Err(format!("it answered {}", status.as_u16())),
        }
    }
    Err(format!("more than {MOST_REDIRECTS} redirects"))
}

fn origin(url: &Uri) -> (Option<String>, Option<String>) {
    let text = |part: Option<&str>| part.map(str::to_ascii_lowercase);
    (
        text(url.scheme_str()),
        text(url.authority().map(http::uri::Authority::as_str)),
    )
}

/// A redirect keeps its scheme.
fn redirected(from: &Uri, to: &str) -> Result<Uri, String> {
    let target: Uri = match to.starts_with('/') && !to.starts_with("//") {
        true => {
            let (scheme, authority) = origin(from);
            let whole = format!(
                "{}://{}{to}",
                scheme.unwrap_or_default(),
                authority.unwrap_or_default()
            );
            whole
                .parse()
                .map_err(|_| "its redirect leads nowhere".to_owned())?
        }
        false => to.parse().map_err(|_| "its redirect leads nowhere".to_owned())?,
    };
    match target.scheme() == from.scheme() && target.host().is_some() {
        true => Ok(target),
        false => Err("its redirect leads to another scheme".to_owned()),
    }
}

/// An address that is written out is not resolved, and so checked here.
fn refuse_address(url: &Uri) -> Result<(), String> {
    let host = url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(address) => dialling::check(address, &[]).map_err(|_| format!("{address} may not be dialled")),
        Err(_) => Ok(()),
    }
}

fn told(error: &hyper_util::client::legacy::Error) -> String {
    match error.is_connect() {
        true => "it cannot be connected to, or its certificate is not good".to_owned(),
        false => "the connection is broken".to_owned(),
    }
}

fn connector(fetch: &Fetch) -> Result<HttpsConnector<HttpConnector<Checked>>, String> {
    let mut roots = RootCertStore::empty();
    match &fetch.authorities {
        Some(pem) => {
            let found = CertificateDer::pem_slice_iter(pem).flatten();
            let (added, _) = roots.add_parsable_certificates(found);
            if added == 0 {
                return Err("its ca holds no certificate".to_owned());
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "TLS cannot be set up".to_owned())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new_with_resolver(Checked);
    http.enforce_http(false);
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

/// Resolves names to addresses that may be dialled, and to no other.
#[derive(Clone, Copy, Debug)]
struct Checked;

impl tower::Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may_be_dialled = |address: &SocketAddr| dialling::check(address.ip(), &[]).is_ok();
            let usable: Vec<SocketAddr> = found.filter(may_be_dialled).collect();
            match usable.is_empty() {
                true => Err(std::io::Error::other("no address that may be dialled")),
                false => Ok(usable.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_keep_their_scheme() {
        let from: Uri = "https://files.test/a".parse().unwrap();
        for (to, expected) in [
            ("/b", Some("https://files.test/b")),
            ("https://other.test/c", Some("https://other.test/c")),
            ("http://files.test/b", None),
            ("//other.test/b", None),
            ("", None),
        ] {
            let found = redirected(&from, to).ok().map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{to}");
        }
    }

    #[test]
    fn addresses_that_are_written_out_are_checked() {
        for (url, may) in [
            ("http://169.254.169.254/a", false),
            ("http://[::1]/a", false),
            ("http://127.0.0.1:80/a", false),
            ("http://192.0.2.1/a", true),
            ("http://files.test/a", true),
        ] {
            assert_eq!(refuse_address(&url.parse().unwrap()).is_ok(), may, "{url}");
        }
    }
}
