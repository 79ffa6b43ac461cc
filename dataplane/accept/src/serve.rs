use std::convert::Infallible;
use std::io;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt as _};

use crate::Place;

/// Serves HTTP/1.1 with short answers until the connection ends, or its place does.
pub async fn serve_http1<S, B>(stream: TcpStream, place: Place, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Answers would otherwise wait for a delayed acknowledgement of TCP.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (call, service) = (place.begin(), service.clone());
        async move {
            let _call = call.ok_or(io::ErrorKind::TimedOut)?;
            let Ok(answer) = service.oneshot(request).await;
            Ok::<_, io::Error>(answer)
        }
    });
    // A client that goes away is no news.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::{Closed, Places, Shares, accept};

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: admin.example\r\n\r\n";
    /// More than the sockets between two programs hold.
    const LARGE: usize = 64 << 20;

    async fn mk_server(length: usize) -> (SocketAddr, Closed) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closed = Closed::default();
        let places = Places::new("admin", Shares::admin(), &closed);
        let answer = move |_: Request<Incoming>| async move { Ok(Response::new("x".repeat(length))) };
        let service = tower::service_fn(answer);
        let serve = move |stream, place| serve_http1(stream, place, service);
        tokio::spawn(accept(listener, places, serve));
        (address, closed)
    }

    /// Says this, reads nothing for a while, and then until the other end closes: how much came, and in which second.
    async fn converse(address: SocketAddr, said: &[u8]) -> (usize, u64) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let start = Instant::now();
        stream.write_all(said).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        (read.len(), start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_half_a_head_end_after_ten_seconds_and_idleness_after_thirty() {
        let (address, closed) = mk_server(0).await;
        assert_eq!(converse(address, b"").await, (0, 10));
        assert_eq!(converse(address, &GET[..20]).await, (0, 10));
        let (answer, after) = converse(address, GET).await;
        assert!(answer > 0 && after == 30, "{answer} bytes after {after} s");
        let (answers, after) = converse(address, &[GET, &GET[..20]].concat()).await;
        assert!(
            answers == answer && after == 30,
            "{answers} bytes after {after} s"
        );
        let late = closed.get_or_create(&[("listener", "admin"), ("reason", "late")]);
        assert_eq!(late.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let (address, _) = mk_server(LARGE).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(GET).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(31)).await;
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        assert!(read.len() < LARGE, "{}", read.len());
    }
}
