//! A page asked for a path that nobody has: the UI believes to be at the root.

/// Stands in the sentence about every such request, and in no other.
pub const MARK: &str = "the UI does not know its prefix";

/// For its author, and for whoever sees the page. `path` is shown as it is; `origin` is where the UI has a host of its own.
pub fn sentence(name: &str, path: &str, prefix: &str, origin: Option<&str>) -> String {
    let open = match origin {
        Some(origin) => format!("open {origin}"),
        None => format!("open it by host (genkan open {prefix}/)"),
    };
    format!("pages of {name} ask for {path} outside of {prefix}: {MARK}; set its base path, or {open}")
}
