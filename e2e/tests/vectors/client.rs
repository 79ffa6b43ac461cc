//! Sends one request as it stands and reads what comes.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::case::Request;
use super::wire::{Broken, Headers, Reader, has_token, latin, values};

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

pub fn exchange(address: SocketAddr, request: &Request) -> Answer {
    let mut answer = Answer::default();
    if let Err(problem) = attempt(address, request, &mut answer) {
        answer.problem = Some(problem);
    }
    answer
}

fn attempt(address: SocketAddr, request: &Request, answer: &mut Answer) -> Result<(), Broken> {
    let ended = |_| Broken::Ended;
    let mut stream = TcpStream::connect(address).map_err(ended)?;
    stream.set_nodelay(true).map_err(ended)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(ended)?;
    let mut reader = Reader::new(stream.try_clone().map_err(ended)?);
    let body = request.body.as_deref().unwrap_or_default();
    let expects = values(&request.headers, "expect").any(|value| value.eq_ignore_ascii_case("100-continue"));
    stream.write_all(head(request).as_bytes()).map_err(ended)?;
    // A refusal may come, and the connection end, before all of the body is sent.
    if expects {
        stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .map_err(ended)?;
        let invited = matches!(reader.fill(), Ok(true)) && reader.buffer.starts_with(b"HTTP/1.1 100");
        if invited || reader.buffer.is_empty() {
            let _ = stream.write_all(body.as_bytes());
        }
        stream.set_read_timeout(Some(LIMIT)).map_err(ended)?;
    } else {
        let _ = stream.write_all(body.as_bytes());
    }
    let status = final_head(&mut reader, answer)?;
    let rest = if status == 101 {
        let after = request.bytes_after_101.as_deref().unwrap_or_default();
        stream.write_all(after.as_bytes()).map_err(ended)?;
        let wanted = if after.is_empty() {
            0
        } else {
            "echo:".len() + after.len()
        };
        reader.exactly(wanted)?
    } else if request.method == "HEAD" || matches!(status, 204 | 304) {
        stream.set_read_timeout(Some(SHORT)).map_err(ended)?;
        let rest = reader.rest();
        rest.unwrap_or_else(|_| std::mem::take(&mut reader.buffer))
    } else if has_token(&answer.headers, "transfer-encoding", "chunked") {
        let (body, trailers) = reader.chunked()?;
        answer.trailers = trailers;
        body
    } else if let Some(length) = values(&answer.headers, "content-length").next() {
        let length = length.parse().map_err(|_| Broken::Malformed(length.to_owned()))?;
        reader.exactly(length)?
    } else {
        reader.rest()?
    };
    answer.body = latin(&rest);
    Ok(())
}

fn final_head(reader: &mut Reader<TcpStream>, answer: &mut Answer) -> Result<u16, Broken> {
    loop {
        let line = reader.line()?;
        let status = line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| Broken::Malformed(line.clone()))?;
        let headers = reader.headers()?;
        if (100..200).contains(&status) && status != 101 {
            answer.interim.push((status, headers));
            continue;
        }
        answer.status = Some(status);
        answer.headers = headers;
        return Ok(status);
    }
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
