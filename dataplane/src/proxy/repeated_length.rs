use genkan_routing::connection::tokens;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use pingora_http::ResponseHeader;

/// Equal lengths on several lines are one; the engine has refused those that differ.
pub fn unite(response: &mut ResponseHeader) {
    let mut lengths = response.headers.get_all(CONTENT_LENGTH).into_iter();
    let Some(first) = lengths.next() else { return };
    if first.as_bytes().iter().all(u8::is_ascii_digit) && lengths.size_hint().0 == 0 {
        return;
    }
    let first = first.clone();
    let one = tokens(first.as_bytes())
        .next()
        .and_then(|length| HeaderValue::from_bytes(length).ok());
    if let Some(one) = one.filter(|one| lengths.next().is_some() || *one != first) {
        let _ = response.insert_header("Content-Length", one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lengths_become_one() {
        for (lines, expected) in [(&["3", "3"][..], "3"), (&["3, 3"], "3"), (&["3"], "3")] {
            let mut response = ResponseHeader::build(200, None).unwrap();
            for line in lines {
                response.append_header(CONTENT_LENGTH, *line).unwrap();
            }
            unite(&mut response);
            let all: Vec<_> = response.headers.get_all(CONTENT_LENGTH).into_iter().collect();
            assert_eq!(all, [expected]);
        }
    }
}
