use crate::path::escaped_byte;

/// A path of the Connector API, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiPath<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    /// Behind the name of the Connector: empty, or with a slash in front.
    pub rest: &'a [u8],
    pub shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `/connectors/v1alpha1/{namespace}/{name}/path/…`.
    Path,
    /// `/connectors/v1alpha1/namespaces/{namespace}/connectors/{name}/resources/…`: of the class API alone, and deprecated.
    Resources,
}

// === impl ApiPath ===

impl<'a> ApiPath<'a> {
    /// Reads a path without its query, where it is one of this API. The name of a cluster in front of it was judged before.
    pub fn parse(path: &'a [u8]) -> Option<Self> {
        let mut rest = path;
        let mut first = segment(&mut rest)?;
        if matches!(first, b"clusters" | b"clusters-rewrite") {
            segment(&mut rest)?;
            first = segment(&mut rest)?;
        }
        if first != b"connectors" || segment(&mut rest)? != super::VERSION.as_bytes() {
            return None;
        }
        let (one, two, three) = (segment(&mut rest)?, segment(&mut rest)?, segment(&mut rest)?);
        if three == b"path" {
            return Self::of(one, two, rest, Shape::Path);
        }
        if (one, three) != (b"namespaces", b"connectors") {
            return None;
        }
        let name = segment(&mut rest)?;
        if segment(&mut rest)? != b"resources" || rest.len() < 2 {
            return None;
        }
        Self::of(two, name, rest, Shape::Resources)
    }

    /// The path of the switches, also below the name of a cluster.
    pub fn is_of_flags(path: &[u8]) -> bool {
        let mut rest = path;
        let mut first = segment(&mut rest);
        if matches!(first, Some(b"clusters" | b"clusters-rewrite")) {
            segment(&mut rest);
            first = segment(&mut rest);
        }
        first == Some(b"connectors-operator") && matches!(rest, b"/featureflags" | b"/featureflags/")
    }

    fn of(namespace: &'a [u8], name: &'a [u8], rest: &'a [u8], shape: Shape) -> Option<Self> {
        let is_name = |text: &[u8]| {
            let is_inner =
                |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(byte);
            !text.is_empty() && text.len() <= 253 && text.iter().all(is_inner)
        };
        (is_name(namespace) && is_name(name)).then_some(Self {
            namespace: std::str::from_utf8(namespace).ok()?,
            name: std::str::from_utf8(name).ok()?,
            rest,
            shape,
        })
    }

    /// Does a server that decodes it leave the place that it seems to name, or read a line end in it?
    pub fn is_ambiguous(&self) -> bool {
        let mut decoded = Vec::with_capacity(self.rest.len());
        let mut left = self.rest;
        while let [byte, tail @ ..] = left {
            left = tail;
            match (*byte == b'%').then(|| escaped_byte(tail)).flatten() {
                Some(escaped) => {
                    decoded.push(escaped);
                    left = &tail[2..];
                }
                None => decoded.push(*byte),
            }
        }
        let is_dots = |segment: &[u8]| matches!(segment, b"." | b"..");
        decoded.iter().any(|byte| b"\0\r\n\\".contains(byte))
            || decoded
                .split(|byte| *byte == b'/')
                .any(|segment| is_dots(segment.split(|byte| *byte == b';').next().unwrap_or_default()))
    }
}

/// The next segment, and what stands behind it, which begins with a slash or is empty.
fn segment<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let from = rest.strip_prefix(b"/")?;
    let end = memchr::memchr(b'/', from).unwrap_or(from.len());
    let (segment, after) = from.split_at(end);
    *rest = after;
    Some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(path: &str) -> Option<(&str, &str, &str, Shape)> {
        let found = ApiPath::parse(path.as_bytes())?;
        let rest = std::str::from_utf8(found.rest).unwrap();
        Some((found.namespace, found.name, rest, found.shape))
    }

    #[test]
    fn both_shapes_are_read_also_behind_a_cluster() {
        for (path, rest) in [
            ("/connectors/v1alpha1/team-a/board/path", ""),
            ("/connectors/v1alpha1/team-a/board/path/", "/"),
            ("/connectors/v1alpha1/team-a/board/path/a//b%2Fc", "/a//b%2Fc"),
            ("/clusters/host/connectors/v1alpha1/team-a/board/path/x", "/x"),
            (
                "/clusters-rewrite/host/connectors/v1alpha1/team-a/board/path/x",
                "/x",
            ),
        ] {
            assert_eq!(read(path), Some(("team-a", "board", rest, Shape::Path)), "{path}");
        }
        let legacy = "/connectors/v1alpha1/namespaces/team-a/connectors/board/resources/gitrefs";
        assert_eq!(
            read(legacy),
            Some(("team-a", "board", "/gitrefs", Shape::Resources))
        );
        // A namespace may have this name.
        let named = "/connectors/v1alpha1/namespaces/board/path/x";
        assert_eq!(read(named), Some(("namespaces", "board", "/x", Shape::Path)));
    }

    #[test]
    fn everything_else_is_no_path_of_this_api() {
        for path in [
            "/connectors",
            "/connectors/v1beta9/team-a/board/path/x",
            "/connectors/v1alpha1/team-a/board",
            "/connectors/v1alpha1/team-a/board/paths/x",
            "/connectors/v1alpha1//board/path/x",
            "/connectors/v1alpha1/team-a/Board/path/x",
            "/connectors/v1alpha1/team%2Da/board/path/x",
            "/connectors/v1alpha1/namespaces/team-a/connectors/board/resources",
            "/connectors/v1alpha1/namespaces/team-a/connectors/board/resources/",
            "connectors/v1alpha1/team-a/board/path/x",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
    }

    #[test]
    fn what_two_servers_could_read_in_two_ways_is_known() {
        let ambiguous = |rest: &str| {
            ApiPath {
                namespace: "a",
                name: "b",
                rest: rest.as_bytes(),
                shape: Shape::Path,
            }
            .is_ambiguous()
        };
        for rest in [
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2E/x",
            "/a/.%2e",
            "/a%2f..%2fb",
            "/..;x/y",
            "/a%00",
            "/a%0d%0aX",
            "/a%5cb",
        ] {
            assert!(ambiguous(rest), "{rest}");
        }
        for rest in [
            "",
            "/",
            "/a//b",
            "/a..b",
            "/...",
            "/%E4%BD%A0+~x",
            "/a%2Fb",
            "/%252e%252e",
            "/a%",
        ] {
            assert!(!ambiguous(rest), "{rest}");
        }
    }
}
