use crate::door::is_label;
use crate::model::Matcher;

/// The name of the web UI that takes these requests: all below `/proxy/NAME`, of which its backend sees nothing. `strips` is
/// what `stripPathPrefix` takes off; `None`: the object is broken, and nobody can say.
pub fn name<'m>(matcher: &'m Matcher, strips: Option<&str>) -> Option<&'m str> {
    let path = match matcher {
        Matcher::ReverseProxy { path, .. } => path,
        Matcher::ApiService { .. } | Matcher::Connector { .. } | Matcher::ConnectorClass { .. } => {
            return None;
        }
    };
    let (name, rest) = path.strip_prefix("/proxy/")?.split_once('/')?;
    let is_all = rest.starts_with('*') && rest.trim_end_matches('*').is_empty();
    let is_stripped = strips.is_none_or(|strips| {
        let strips = strips.strip_suffix('/').unwrap_or(strips);
        strips.strip_prefix("/proxy/") == Some(name)
    });
    (is_all && is_stripped && is_label(name)).then_some(name)
}
