//! Where people open what is published.

use genkan_routing::decide::app;
use genkan_routing::model::Matcher;
use genkan_routing::public::Front;
use genkan_routing::{canonicalize, matcher::is_served_path};

/// So many are shown of an object.
const MOST: usize = 8;

/// The URLs of a ReverseProxy, the one of its own first; none where nobody says how the data planes are reached, and none
/// of a path with a wildcard inside. `strips` is what `stripPathPrefix` takes off.
pub(super) fn of(front: &Front, matcher: &Matcher, strips: &str) -> Vec<String> {
    let Matcher::ReverseProxy { path, .. } = matcher else {
        return Vec::new();
    };
    let base = path.strip_suffix("/*").map(|base| format!("{base}/"));
    let base = base.unwrap_or_else(|| path.clone());
    let base = base.replace(' ', "%20");
    let canonical = canonicalize(base.as_bytes()).ok();
    let Some(base) = canonical.filter(|base| !base.contains('*') && is_served_path(base)) else {
        return Vec::new();
    };
    let own = app::name(matcher, Some(strips)).and_then(|name| front.app_origin(name));
    let own = own.map(|own| format!("{own}/"));
    let below = front.origins.iter().map(|origin| format!("{origin}{base}"));
    own.into_iter().chain(below).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_urls() {
        let front = Front {
            origins: ["https://gw.example", "http://gw.internal:8080"]
                .map(|url| url.parse().unwrap())
                .into(),
            apps: Some("apps.example".parse().unwrap()),
            ..Front::default()
        };
        let of = |front: &Front, path: &str, strips: &str| {
            let matcher = Matcher::ReverseProxy {
                path: path.to_owned(),
                method: "*".to_owned(),
            };
            super::of(front, &matcher, strips)
        };
        for (path, strips, urls) in [
            (
                "/proxy/ui/*",
                "/proxy/ui",
                &[
                    "https://ui.apps.example/",
                    "https://gw.example/proxy/ui/",
                    "http://gw.internal:8080/proxy/ui/",
                ][..],
            ),
            (
                "/proxy/ui/*",
                "",
                &[
                    "https://gw.example/proxy/ui/",
                    "http://gw.internal:8080/proxy/ui/",
                ],
            ),
            (
                "/proxy/\u{fc} a",
                "",
                &[
                    "https://gw.example/proxy/%C3%BC%20a",
                    "http://gw.internal:8080/proxy/%C3%BC%20a",
                ],
            ),
            ("/proxy/a*b/*", "", &[]),
            ("/proxy/a*", "", &[]),
        ] {
            assert_eq!(of(&front, path, strips), urls, "{path}");
        }
        assert!(of(&Front::default(), "/proxy/ui/*", "/proxy/ui").is_empty());
    }
}
