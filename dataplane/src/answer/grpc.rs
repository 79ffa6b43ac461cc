use std::fmt::Write;

use genkan_routing::Status;
use http::HeaderName;
use pingora_core::Result;
use pingora_http::ResponseHeader;

/// The head of an answer to a gRPC client: it carries the status and nothing follows.
pub fn trailers_only(status: &Status) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(200, Some(6))?;
    head.insert_header("content-type", "application/grpc")?;
    head.insert_header("grpc-status", code(status.code))?;
    head.insert_header("grpc-message", percent_encode(&status.message))?;
    Ok(head)
}

/// Whether a gRPC client needs this field of an answer to it.
pub fn is_sign(name: &HeaderName) -> bool {
    matches!(name.as_str(), "grpc-status" | "grpc-message")
}

/// gRPC's own table for HTTP answers without a gRPC status.
fn code(http: u16) -> &'static str {
    match http {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502 | 503 | 504 => "14",
        _ => "2",
    }
}

fn percent_encode(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => {
                // Writing into a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            byte => out.push(char::from(byte)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_becomes_headers() {
        let head = trailers_only(&Status::new(503, "100 % für nichts")).unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["grpc-status"], "14");
        assert_eq!(head.headers["grpc-message"], "100 %25 f%C3%BCr nichts");
    }
}
