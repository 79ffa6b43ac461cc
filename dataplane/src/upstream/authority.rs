use http::header::HOST;
use pingora_http::RequestHeader;

/// The authority that the client named; one accessor for both versions of HTTP.
pub fn named(request: &RequestHeader) -> &str {
    let named = request.headers.get(HOST).and_then(|value| value.to_str().ok());
    request
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or(named)
        .unwrap_or_default()
}
