use std::fmt::Write;

use http::HeaderName;

use super::{Head, Status};

/// The head of an answer to a gRPC client: it carries the status and nothing follows.
pub fn trailers_only(status: &Status) -> Head {
    let mut head = Head::new(200);
    head.add("content-type", "application/grpc");
    head.add("grpc-status", code(status.code));
    head.add("grpc-message", &percent_encode(&status.message));
    head
}

/// The same for an answer that a policy gave.
pub fn trailers_only_of_policy(http: u16, message: &str) -> Head {
    let code = match http {
        200..=299 => "0",
        400 => "3",
        401 => "16",
        403 => "7",
        404 => "5",
        413 | 429 => "8",
        501 => "12",
        503 => "14",
        504 => "4",
        _ => "13",
    };
    let mut head = Head::new(200);
    head.add("content-type", "application/grpc");
    head.add("grpc-status", code);
    head.add("grpc-message", &percent_encode(message));
    head
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
        let head = trailers_only(&Status::new(503, "100 % für nichts"));
        assert_eq!(head.code, 200);
        let fields = head
            .fields
            .iter()
            .map(|(name, value)| (*name, value.to_str().unwrap()));
        let expected = [
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", "100 %25 f%C3%BCr nichts"),
        ];
        assert!(fields.eq(expected));
    }
}
