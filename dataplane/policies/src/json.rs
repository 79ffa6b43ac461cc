//! JSON that can be read in one way only: a member that is named twice is refused.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

#[derive(Clone, Copy)]
struct Strict;

/// # Errors
/// One sentence without anything of the text.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Strict.deserialize(&mut reader);
    let read = read.and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| {
        let what = if error.is_data() {
            "a member is named twice"
        } else {
            "not JSON"
        };
        format!("{what} (line {}, column {})", error.line(), error.column())
    })
}

/// The media type without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    // Parameters may hold letters that are no ASCII.
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
    std::str::from_utf8(kind.trim_ascii()).ok()
}

/// A media type that everybody reads in the same way.
pub(crate) fn is_one_type(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(byte);
    let mut is_quoted = false;
    let mut is_escaped = false;
    let is_list = value.iter().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        *byte == b',' && !is_quoted
    });
    kind.trim_ascii().iter().all(is_of_token) && !is_list
}

/// `application/json` and `*+json`.
pub(crate) fn is_json(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("application/json")
        || kind.len() > 5
            && kind.is_char_boundary(kind.len() - 5)
            && kind[kind.len() - 5..].eq_ignore_ascii_case("+json")
}

// === impl Strict ===

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self)?;
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_two_meanings_is_refused() {
        assert!(read(br#"{"a":1,"b":[null,true,1.5,"x",-3]}"#).is_ok());
        for bad in [r#"{"a":1,"a":2}"#, "{", "", "1 2", r#"{"a":{"b":1,"b":1}}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(is_json("application/problem+json") && !is_json("text/json"));
    }

    #[test]
    fn a_type_is_one() {
        for good in [
            "application/json",
            "a/b; c=\"d,e\\\",f\"",
            "multipart/form-data; boundary=x",
            "",
        ] {
            assert!(is_one_type(good.as_bytes()), "{good}");
        }
        for bad in [
            "text/plain, application/json",
            "text/plain;a, a/json",
            "application/json x",
            "a/\u{e9}",
        ] {
            assert!(!is_one_type(bad.as_bytes()), "{bad}");
        }
    }
}
