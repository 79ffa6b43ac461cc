use super::HeaderView;

/// Which of the names that a decision looks for are there. One pass over the names of a request, of which most are of no
/// concern, costs less than to look for each name by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Present(u16);

/// A name that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Accept,
    CdnLoop,
    Connection,
    ContentType,
    Cookie,
    ForwardedFor,
    KubesphereAuthorization,
    KubesphereQuery,
    Te,
}

// === impl Present ===

impl Present {
    pub(crate) fn of(headers: &impl HeaderView) -> Self {
        let bits = headers.names().filter_map(Name::of).map(Name::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }

    pub(crate) fn has(self, name: Name) -> bool {
        self.0 & name.bit() != 0
    }
}

// === impl Name ===

impl Name {
    /// Names of one length are few, so that most are told apart by that.
    fn of(name: &str) -> Option<Self> {
        let (known, spelled): (Self, &str) = match name.len() {
            2 => (Self::Te, "te"),
            6 if name.eq_ignore_ascii_case("accept") => return Some(Self::Accept),
            6 => (Self::Cookie, "cookie"),
            8 => (Self::CdnLoop, "cdn-loop"),
            10 => (Self::Connection, "connection"),
            12 => (Self::ContentType, "content-type"),
            15 => (Self::ForwardedFor, "x-forwarded-for"),
            21 => (Self::KubesphereQuery, "x-kubesphere-rawquery"),
            26 => (Self::KubesphereAuthorization, "x-kubesphere-authorization"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(spelled).then_some(known)
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, TE};

    use super::*;

    #[test]
    fn each_name_is_found_and_no_other() {
        let names = [
            (Name::Accept, ACCEPT),
            (Name::CdnLoop, HeaderName::from_static("cdn-loop")),
            (Name::Connection, CONNECTION),
            (Name::ContentType, CONTENT_TYPE),
            (Name::Cookie, COOKIE),
            (Name::ForwardedFor, HeaderName::from_static("x-forwarded-for")),
            (
                Name::KubesphereAuthorization,
                HeaderName::from_static("x-kubesphere-authorization"),
            ),
            (
                Name::KubesphereQuery,
                HeaderName::from_static("x-kubesphere-rawquery"),
            ),
            (Name::Te, TE),
        ];
        for (name, header) in &names {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("a"));
            assert_eq!(Present::of(&headers), Present(0));
            headers.insert(header, HeaderValue::from_static("b"));
            for (other, _) in &names {
                assert_eq!(Present::of(&headers).has(*other), other == name, "{header}");
            }
            let mut longer = HeaderMap::new();
            let name = HeaderName::try_from(format!("{header}x")).unwrap();
            longer.insert(name, HeaderValue::from_static("c"));
            assert_eq!(Present::of(&longer), Present(0), "{header}");
        }
    }
}
