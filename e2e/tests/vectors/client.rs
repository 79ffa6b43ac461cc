//! Sends one request as it stands and reads what comes.

use std::net::SocketAddr;
use std::time::Duration;

use genkan_kit::http1::Client;
use genkan_kit::wire::{Broken, Headers, latin, values};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::case::Request;

#[derive(Debug, Default)]
pub struct Answer {
    /// Absent: no answer came.
    pub status: Option<u16>,
    pub headers: Headers,
    pub body: String,
    pub interim: Vec<(u16, Headers)>,
    pub trailers: Headers,
    /// Why it is not whole.
    pub problem: Option<Broken>,
}

const LIMIT: Duration = Duration::from_secs(10);
/// For what must not come.
const SHORT: Duration = Duration::from_millis(300);

/// Blocks; on a thread of its own, since who waits may be a task.
pub fn exchange(address: SocketAddr, request: &Request) -> Answer {
    std::thread::scope(|scope| scope.spawn(|| blocking(address, request)).join().unwrap())
}

fn blocking(address: SocketAddr, request: &Request) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut answer = Answer::default();
    if let Err(problem) = runtime.block_on(attempt(address, request, &mut answer)) {
        answer.problem = Some(problem);
    }
    answer
}

async fn attempt(address: SocketAddr, request: &Request, answer: &mut Answer) -> Result<(), Broken> {
    let ended = |_| Broken::Ended { read: 0 };
    let stream = TcpStream::connect(address).await.map_err(ended)?;
    stream.set_nodelay(true).map_err(ended)?;
    let mut client = Client::new(stream);
    client.patience = LIMIT;
    let body = request.body.as_deref().unwrap_or_default();
    let expects = values(&request.headers, "expect").any(|value| value.eq_ignore_ascii_case("100-continue"));
    let sent = client.stream.write_all(head(request).as_bytes()).await;
    sent.map_err(ended)?;
    // A refusal may come, and the connection end, before all of the body is sent.
    if expects {
        client.patience = Duration::from_secs(2);
        let invited = matches!(client.fill().await, Ok(true)) && client.buffered.starts_with(b"HTTP/1.1 100");
        client.patience = LIMIT;
        if invited || client.buffered.is_empty() {
            client.try_send(body).await;
        }
    } else {
        client.try_send(body).await;
    }
    let mut found = client.read_head().await?;
    while found.is_interim() {
        answer.interim.push((found.status, found.headers));
        found = client.read_head().await?;
    }
    answer.status = Some(found.status);
    answer.headers.clone_from(&found.headers);
    let rest = if found.status == 101 {
        let after = request.bytes_after_101.as_deref().unwrap_or_default();
        client.stream.write_all(after.as_bytes()).await.map_err(ended)?;
        let wanted = if after.is_empty() {
            0
        } else {
            "echo:".len() + after.len()
        };
        client.exactly(wanted).await?
    } else if request.method == "HEAD" || matches!(found.status, 204 | 304) {
        client.patience = SHORT;
        match client.rest().await {
            Ok(rest) => rest,
            Err(_) => client.buffered.split().freeze(),
        }
    } else {
        client.read_body(&request.method, &mut found).await?;
        found.body.into()
    };
    answer.trailers = found.trailers;
    answer.body = latin(&rest);
    Ok(())
}

/// What is sent in front of the body.
pub fn head(request: &Request) -> String {
    let has = |name: &str| values(&request.headers, name).next().is_some();
    let mut head = format!("{} {} {}\r\n", request.method, request.target, request.proto);
    if !has("host") {
        head += "Host: gw.test\r\n";
    }
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !has("connection") {
        head += "Connection: close\r\n";
    }
    if let Some(body) = &request.body
        && !has("transfer-encoding")
        && !has("content-length")
    {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head + "\r\n"
}
