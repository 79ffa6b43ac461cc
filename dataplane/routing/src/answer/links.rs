//! `rewriteLinks` and `wrapTransport`: links of a backend that believes to live at the root are moved below its public prefix.

pub mod heads;
pub mod lists;
pub mod places;
pub mod policy;
pub mod scan;
pub mod text;

use std::borrow::Cow;
use std::ops::Range;

use crate::endpoint::Scheme;
use crate::reference::{same_authority, scheme_length};

/// The prefix under which a backend is seen, and the origin that it knows itself by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPrefix<'a> {
    /// Canonical, begins with a slash, without one at the end; empty if nothing was stripped.
    pub prefix: Cow<'a, str>,
    pub scheme: Scheme,
    /// As sent in `Host`.
    pub authority: &'a str,
    /// What genkan puts in front of every path, so that the backend has it in its links; without a slash at the end.
    pub base: &'a str,
}

/// One that grows beyond that is left as it is: browsers take 4 KiB, and each `Path` in it would grow by the prefix.
const LONGEST_COOKIE: usize = 16 << 10;

// === impl PublicPrefix ===

impl<'a> PublicPrefix<'a> {
    /// Behind a proxy that takes this off in front of every path.
    #[must_use]
    pub fn behind(self, outer: &str) -> Self {
        match outer {
            "" => self,
            outer => Self {
                prefix: Cow::Owned([outer, &self.prefix].concat()),
                ..self
            },
        }
    }

    /// `cluster` is the cluster named in the request path (or empty), `stripped` what was taken off.
    pub fn new(cluster: &str, stripped: Option<&'a str>, scheme: Scheme, authority: &'a str) -> Self {
        let stripped = stripped.unwrap_or_default();
        let stripped = stripped.strip_suffix('/').unwrap_or(stripped);
        let prefix = if cluster.is_empty() {
            Cow::Borrowed(stripped)
        } else {
            Cow::Owned(["/clusters/", cluster, stripped].concat())
        };
        Self {
            prefix,
            scheme,
            authority,
            base: "",
        }
    }

    /// Of a backend that lives below a path of its own.
    #[must_use]
    pub fn with_base(self, base: &'a str) -> Self {
        Self { base, ..self }
    }

    /// The link as the client must see it; `None`: it stays.
    pub fn link(&self, link: &[u8]) -> Option<Vec<u8>> {
        let (place, new) = self.edit(link)?;
        Some([&link[..place.start], new.as_bytes(), &link[place.end..]].concat())
    }

    /// What has to stand at its beginning instead, and of what; `None`: it stays. Blanks around it, and tabs and line ends in
    /// it, are nothing to browsers.
    pub fn edit(&self, link: &[u8]) -> Option<(Range<usize>, String)> {
        let is_blank = |byte: &u8| *byte <= b' ';
        let start = link.iter().position(|byte| !is_blank(byte))?;
        let end = link.iter().rposition(|byte| !is_blank(byte))? + 1;
        let link = &link[start..end];
        if memchr::memchr3(b'\t', b'\n', b'\r', link).is_none() {
            let (length, new) = self.edit_plain(link)?;
            return Some((start..start + length, new));
        }
        let is_kept = |&(_, byte): &(usize, &u8)| !matches!(byte, b'\t' | b'\n' | b'\r');
        let (places, plain): (Vec<_>, Vec<_>) = link.iter().enumerate().filter(is_kept).unzip();
        let (length, new) = self.edit_plain(&plain)?;
        let length = places.get(length).copied().unwrap_or(link.len());
        Some((start..start + length, new))
    }

    /// It names a server, and not that of the backend.
    pub fn leads_elsewhere(&self, link: &[u8]) -> bool {
        let is_kept = |byte: &u8| !matches!(byte, b'\t' | b'\n' | b'\r');
        let link: Vec<u8> = link.iter().copied().filter(is_kept).collect();
        let link = link.trim_ascii();
        let names_server = scheme_length(link).is_some() || matches!(link, [b'/' | b'\\', b'/' | b'\\', ..]);
        names_server && self.own_path(link).is_none()
    }

    /// How much of its beginning goes, and what comes.
    fn edit_plain(&self, link: &[u8]) -> Option<(usize, String)> {
        let path = self.own_path(link)?;
        let (prefix, moved) = match self.is_below(path) {
            true => ("", path),
            false => (&*self.prefix, self.without_base(path)),
        };
        if prefix.is_empty() && moved.len() == link.len() {
            return None;
        }
        let slash = match moved {
            // Alone it would be another host's.
            [b'/' | b'\\', b'/' | b'\\', ..] if prefix.is_empty() => "/.",
            [b'/' | b'\\', ..] => "",
            _ => "/",
        };
        Some((link.len() - moved.len(), [prefix, slash].concat()))
    }

    /// A `Set-Cookie` value whose `Path` attribute is moved below the prefix; `None`: it stays.
    pub fn cookie(&self, cookie: &[u8]) -> Option<Vec<u8>> {
        if self.prefix.is_empty() && self.base.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(cookie.len() + self.prefix.len());
        let mut changed = false;
        for (index, part) in cookie.split(|&byte| byte == b';').enumerate() {
            if index > 0 {
                out.push(b';');
            }
            let value = memchr::memchr(b'=', part)
                .filter(|&at| index > 0 && part[..at].trim_ascii().eq_ignore_ascii_case(b"path"));
            let Some(at) = value else {
                out.extend_from_slice(part);
                continue;
            };
            let (name, value) = part.split_at(at + 1);
            let path = value.trim_ascii();
            out.extend_from_slice(name);
            if !path.starts_with(b"/") || self.is_below(path) {
                out.extend_from_slice(value);
                continue;
            }
            if out.len() > LONGEST_COOKIE {
                return None;
            }
            changed = true;
            out.extend_from_slice(self.prefix.as_bytes());
            let path = self.without_base(path);
            if path != b"/" || self.prefix.is_empty() {
                out.extend_from_slice(path);
            }
            if out.ends_with(b"=") {
                out.push(b'/');
            }
        }
        changed.then_some(out)
    }

    /// What follows the origin, if the link is rooted or names the backend itself. A backslash is a slash to browsers.
    fn own_path<'l>(&self, link: &'l [u8]) -> Option<&'l [u8]> {
        let (scheme, rest) = match scheme_length(link) {
            Some(length) => (Some(scheme_of(&link[..length])?), &link[length + 1..]),
            None => (None, link),
        };
        let [b'/' | b'\\', b'/' | b'\\', rest @ ..] = rest else {
            let is_rooted = matches!(rest, [b'/' | b'\\', ..]);
            return (scheme.is_none() && is_rooted).then_some(rest);
        };
        let end = rest
            .iter()
            .position(|byte| b"/?#\\".contains(byte))
            .unwrap_or(rest.len());
        self.is_own(scheme, &rest[..end]).then_some(&rest[end..])
    }

    /// A port that is written has to be that of the backend, together with the scheme; without one it is its host that counts.
    fn is_own(&self, scheme: Option<Scheme>, authority: &[u8]) -> bool {
        let is_scheme = scheme.is_none_or(|scheme| scheme == self.scheme);
        if is_scheme && same_authority(authority, self.scheme, self.authority) {
            return true;
        }
        let host = host_of(self.authority.as_bytes());
        let schemes = [Scheme::Http, Scheme::Https];
        let mut of_link = schemes
            .into_iter()
            .filter(|of| scheme.is_none_or(|scheme| scheme == *of));
        std::str::from_utf8(host).is_ok_and(|host| of_link.any(|of| same_authority(authority, of, host)))
    }

    /// It is put in front again when the link is followed.
    fn without_base<'l>(&self, path: &'l [u8]) -> &'l [u8] {
        match path.strip_prefix(self.base.as_bytes()) {
            Some(rest) if rest.is_empty() || b"/?#\\".contains(&rest[0]) => rest,
            Some(_) | None => path,
        }
    }

    fn is_below(&self, path: &[u8]) -> bool {
        !self.prefix.is_empty()
            && path
                .strip_prefix(self.prefix.as_bytes())
                .is_some_and(|rest| rest.is_empty() || b"/?#\\".contains(&rest[0]))
    }
}

/// Of those that lead to web servers.
fn scheme_of(name: &[u8]) -> Option<Scheme> {
    [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
}

/// Without the port.
fn host_of(authority: &[u8]) -> &[u8] {
    let colon = memchr::memrchr(b':', authority);
    let colon = colon.filter(|&at| memchr::memchr(b']', &authority[at..]).is_none());
    &authority[..colon.unwrap_or(authority.len())]
}

/// Can this be read as a link at all? What cannot is not passed on by a backend whose links are moved.
pub fn is_readable(link: &[u8]) -> bool {
    if link.first() == Some(&b':') || link.iter().any(u8::is_ascii_control) {
        return false;
    }
    let rest = scheme_length(link).map_or(link, |length| &link[length + 1..]);
    let Some(rest) = rest.strip_prefix(b"//") else {
        return true;
    };
    let end = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = memchr::memrchr(b'@', authority).map_or(authority, |at| &authority[at + 1..]);
    let port = match memchr::memrchr(b']', host) {
        Some(at) if host[0] == b'[' => match &host[at + 1..] {
            [] => &[],
            [b':', port @ ..] => port,
            _ => return false,
        },
        Some(_) => return false,
        None if host.contains(&b'[') => return false,
        None => memchr::memchr(b':', host).map_or(&[][..], |at| &host[at + 1..]),
    };
    port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_path_of_a_backend_is_taken_off_before_the_prefix_is_put_on() {
        let ui = PublicPrefix::new("", Some("/proxy/ui"), Scheme::Http, "b.example").with_base("/tools/ui");
        let link = |link: &str| {
            let moved = ui.link(link.as_bytes());
            moved.map(|moved| String::from_utf8(moved).unwrap())
        };
        for (sent, moved) in [
            ("/tools/ui/login", Some("/proxy/ui/login")),
            ("http://b.example/tools/ui/login", Some("/proxy/ui/login")),
            ("/tools/ui", Some("/proxy/ui/")),
            ("/tools/ui?a", Some("/proxy/ui/?a")),
            ("/tools/uix", Some("/proxy/ui/tools/uix")),
            ("/elsewhere", Some("/proxy/ui/elsewhere")),
            // Written by a backend that knows its prefix.
            ("/proxy/ui/login", None),
            ("http://b.example/proxy/ui/login", Some("/proxy/ui/login")),
            ("login", None),
            ("https://other.example/tools/ui/login", None),
        ] {
            assert_eq!(link(sent).as_deref(), moved, "{sent}");
        }
        let cookie = |cookie: &str| {
            ui.cookie(cookie.as_bytes())
                .map(|moved| String::from_utf8(moved).unwrap())
        };
        assert_eq!(
            cookie("a=1; Path=/tools/ui").as_deref(),
            Some("a=1; Path=/proxy/ui")
        );
        assert_eq!(
            cookie("a=1; Path=/tools/ui/x").as_deref(),
            Some("a=1; Path=/proxy/ui/x")
        );
        assert_eq!(cookie("a=1; Path=/").as_deref(), Some("a=1; Path=/proxy/ui"));
        // By a host of its own nothing is put on.
        let alone = PublicPrefix::new("", None, Scheme::Http, "b.example").with_base("/tools/ui");
        assert_eq!(alone.link(b"/tools/ui/login").as_deref(), Some(&b"/login"[..]));
        assert_eq!(alone.link(b"/tools/ui").as_deref(), Some(&b"/"[..]));
        for hostile in ["/tools/ui//evil.example/", "http://b.example//evil.example/"] {
            assert_eq!(
                alone.link(hostile.as_bytes()).as_deref(),
                Some(&b"/.//evil.example/"[..])
            );
        }
        assert_eq!(
            alone.cookie(b"a=1; Path=/tools/ui").as_deref(),
            Some(&b"a=1; Path=/"[..])
        );
    }

    #[test]
    fn links_are_read_as_browsers_read_them() {
        let ui = PublicPrefix::new("", Some("/p"), Scheme::Http, "b.example:81");
        for (link, moved) in [
            ("/x", Some("/p/x")),
            ("\\x", Some("/p\\x")),
            (" \n/x\t ", Some(" \n/p/x\t ")),
            ("/\t/b.example/x", Some("/p/x")),
            ("ht\ntp://b.example:81/x", Some("/p/x")),
            ("http://b.example:81/x", Some("/p/x")),
            ("http:\\\\b.example:81\\x", Some("/p\\x")),
            ("//b.example:81/x", Some("/p/x")),
            // The host at the ports that its schemes have anyway.
            ("http://b.example/x", Some("/p/x")),
            ("http://b.example:80/x", Some("/p/x")),
            ("https://B.example/x", Some("/p/x")),
            ("https://b.example:443/x", Some("/p/x")),
            ("//b.example?a", Some("/p/?a")),
            // Another port, or that of another scheme.
            ("https://b.example:81/x", None),
            ("http://b.example:443/x", None),
            ("http://b.example:82/x", None),
            ("http://user@b.example:81/x", None),
            ("http://b.example.evil/x", None),
            ("//evil.example/x", None),
            ("/\\evil.example/x", None),
            ("\\/evil.example/x", None),
            ("/\t/evil.example/x", None),
            ("x", None),
            ("", None),
            (" ", None),
            ("#/x", None),
            ("?/x", None),
            ("mailto:/x", None),
            ("javascript:/x/", None),
            ("data:,/x", None),
            ("ws://b.example:81/x", None),
            ("http:/x", None),
            ("/p/x", None),
            ("/p", None),
            ("/px", Some("/p/px")),
        ] {
            let seen = ui
                .link(link.as_bytes())
                .map(|moved| String::from_utf8(moved).unwrap());
            assert_eq!(seen.as_deref(), moved, "{link:?}");
            // Once is enough.
            if let Some(moved) = moved {
                assert_eq!(ui.link(moved.as_bytes()), None, "{link:?}");
            }
        }
    }

    #[test]
    fn a_cookie_of_many_paths_is_left_as_it_is() {
        let prefix = format!("/{}", "p".repeat(1_000));
        let prefix = PublicPrefix::new("", Some(&prefix), Scheme::Http, "b.example");
        let many = format!("a=1{}", "; path=/x".repeat(60_000));
        assert_eq!(prefix.cookie(many.as_bytes()), None);
        let two = format!("a=1{}", "; path=/x".repeat(2));
        assert_eq!(
            prefix.cookie(two.as_bytes()).map(|moved| moved.len()),
            Some(two.len() + 2 * 1_001)
        );
    }
}
