/// Scheme and authority: who is asked.
pub fn origin(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme, &rest[..end]))
}

/// Where a redirect leads; `None` if nowhere that could be asked.
pub fn join(from: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let (scheme, authority) = origin(from)?;
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let path = &from[scheme.len() + 3 + authority.len()..];
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if location.starts_with('?') {
        return Some(format!("{scheme}://{authority}{path}{location}"));
    }
    let has_scheme = location
        .split(['/', '?'])
        .next()
        .is_some_and(|first| first.contains(':'));
    if location.is_empty() || has_scheme {
        return None;
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_browsers_would_go() {
        const FROM: &str = "https://tool.example:8443/a/b?c=1";
        for (location, expected) in [
            ("/x?y", Some("https://tool.example:8443/x?y")),
            ("https://other.example/x#f", Some("https://other.example/x")),
            ("//other.example/x", Some("https://other.example/x")),
            ("x", Some("https://tool.example:8443/a/x")),
            ("?d=2", Some("https://tool.example:8443/a/b?d=2")),
            ("", None),
            ("ftp://other.example/", None),
            ("javascript:alert(1)", None),
        ] {
            assert_eq!(join(FROM, location).as_deref(), expected, "{location}");
        }
        assert_eq!(
            join("https://tool.example", "x").as_deref(),
            Some("https://tool.example/x")
        );
        assert_eq!(origin(FROM), Some(("https", "tool.example:8443")));
    }
}
