//! Lexical cleaning of paths, with or without merging slashes.

use std::borrow::Cow;

/// Resolves `.` and `..`, merges slashes if asked to, keeps a slash at the end. The empty path becomes `.`.
pub fn clean_path(path: &[u8], merge_slashes: bool) -> Cow<'_, [u8]> {
    if path.is_empty() {
        return Cow::Borrowed(b".");
    }
    if is_clean(path, merge_slashes) {
        return Cow::Borrowed(path);
    }
    let rooted = path.starts_with(b"/");
    let body = &path[usize::from(rooted)..];
    let trailing = path.ends_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = body.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            // The last one is only the slash at the end.
            b"" if merge_slashes || segments.peek().is_none() => {}
            b"." => {}
            b".." => match kept.last() {
                Some(&last) if last != b".." || rooted => {
                    kept.pop();
                }
                None if rooted => {}
                _ => kept.push(segment),
            },
            name => kept.push(name),
        }
    }
    let mut out = Vec::with_capacity(path.len() + 1);
    if rooted {
        out.push(b'/');
    }
    out.extend_from_slice(&kept.join(&b'/'));
    if out.is_empty() {
        out.push(b'.');
    }
    if trailing && !(rooted && kept.is_empty()) {
        out.push(b'/');
    }
    Cow::Owned(out)
}

fn is_clean(path: &[u8], merge_slashes: bool) -> bool {
    let body = path.strip_prefix(b"/").unwrap_or(path);
    let body = body.strip_suffix(b"/").unwrap_or(body);
    if body.is_empty() {
        return path == b"/";
    }
    body.split(|&byte| byte == b'/').all(|segment| match segment {
        b"." | b".." => false,
        b"" => !merge_slashes,
        _ => true,
    })
}
