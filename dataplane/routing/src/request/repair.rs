//! The forms in which KubeSphere's own clients send credentials and queries through other proxies.

use crate::answer::reason;
use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use crate::answer::Refused;
use crate::credential::KUBESPHERE_AUTHORIZATION;
use crate::headers::{HeaderStore, HeaderView};
use crate::target::parameters;

const KUBESPHERE_QUERY: HeaderName = HeaderName::from_static("x-kubesphere-rawquery");

/// Gives a credential its usual place, if that is free. Several stay several: whoever shows them is for the reader of
/// credentials to refuse.
pub fn repair_credential(headers: &mut (impl HeaderView + HeaderStore)) {
    let is_free = |header: &HeaderValue| header.as_bytes().trim_ascii().is_empty();
    let mut credentials = headers
        .values(KUBESPHERE_AUTHORIZATION)
        .filter(|value| !is_free(value));
    let Some(credential) = credentials.next().cloned() else {
        return;
    };
    let more: Vec<_> = credentials.cloned().collect();
    if headers.values(AUTHORIZATION).any(|value| !is_free(value)) {
        return;
    }
    headers.remove(KUBESPHERE_AUTHORIZATION.as_str());
    headers.put("Authorization", credential);
    for value in more {
        headers.append("Authorization", value.as_bytes());
    }
}

/// The query that counts: that of the target, or that of the header, which is taken out then.
///
/// # Errors
/// When the header holds what no query can.
pub fn query_that_counts<'q>(
    headers: &mut (impl HeaderView + HeaderStore),
    query: Option<&'q [u8]>,
) -> Result<Option<Cow<'q, [u8]>>, Refused> {
    let query = query.map(repair_query);
    let sent = headers.first(KUBESPHERE_QUERY);
    let sent = sent.filter(|value| !value.is_empty()).cloned();
    match (query, sent) {
        (Some(query), _) if !query.is_empty() => Ok(Some(query)),
        (_, Some(sent)) => {
            let sent = sent.as_bytes();
            if sent.iter().any(|byte| !byte.is_ascii_graphic() || *byte == b'#') {
                let message = "the header X-KubeSphere-Rawquery holds what a query cannot hold";
                return Err(Refused::bad_request(reason::QUERY_REFUSED, message));
            }
            headers.remove(KUBESPHERE_QUERY.as_str());
            Ok(Some(sent.to_vec().into()))
        }
        (query, None) => Ok(query),
    }
}

/// Older KubeSphere clients write `dryrun`; Kubernetes knows only `dryRun`. When the query has such a key, the first such
/// text in the query is corrected.
pub fn repair_query(query: &[u8]) -> Cow<'_, [u8]> {
    let has_key = parameters(query).any(|(key, _)| key.as_ref() == b"dryrun");
    let Some(at) = has_key.then(|| memchr::memmem::find(query, b"dryrun")).flatten() else {
        return Cow::Borrowed(query);
    };
    let mut repaired = query.to_vec();
    repaired[at..at + 6].copy_from_slice(b"dryRun");
    Cow::Owned(repaired)
}
