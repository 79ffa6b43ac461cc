use std::borrow::Cow;

use super::Version;
use super::fields::Fields;
use super::request_line::{Form, RequestLine};

/// The bytes to hand on. Nothing is copied unless something must differ from what the client sent.
pub(super) fn head<'h>(
    head: &'h [u8],
    line: &RequestLine<'h>,
    form: &Form<'h>,
    target: &[u8],
    fields: &Fields<'h>,
) -> Cow<'h, [u8]> {
    // The proxy engine reads one Connection line only.
    let scattered = fields.connection.lines > 1;
    if target == line.target && !fields.idle_upgrade && !scattered {
        return Cow::Borrowed(head);
    }
    let mut out = Vec::with_capacity(head.len() + 64);
    let version: &[u8] = match line.version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
    };
    extend(
        &mut out,
        &[line.method.as_bytes(), b" ", target, b" ", version, b"\r\n"],
    );
    if let (None, Some(authority)) = (fields.host, form.authority()) {
        extend(&mut out, &[b"Host: ", authority, b"\r\n"]);
    }
    let mut connection = Vec::new();
    for (bytes, field) in fields.iter() {
        if fields.idle_upgrade && (field.is("upgrade") || field.is("http2-settings")) {
            continue;
        }
        if scattered && field.is("connection") {
            let separator: &[u8] = if connection.is_empty() { b"" } else { b", " };
            extend(&mut connection, &[separator, field.value]);
            continue;
        }
        extend(&mut out, &[bytes, b"\r\n"]);
    }
    if scattered {
        extend(&mut out, &[b"Connection: ", &connection, b"\r\n"]);
    }
    out.extend_from_slice(b"\r\n");
    Cow::Owned(out)
}

fn extend(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
