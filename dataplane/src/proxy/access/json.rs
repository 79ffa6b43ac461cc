use std::net::SocketAddr;
use std::sync::Arc;

use crate::address::AddressText;

/// A JSON object of texts and numbers, written member by member. A generic serializer looks at every byte of every key.
#[derive(Debug)]
pub struct Object(Vec<u8>);

/// How a member begins: `,"name":`, or with a brace for the first one.
pub type Start = &'static str;

/// Decimal digits of the largest number.
const DIGITS: usize = 20;

// === impl Object ===

impl Object {
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    #[inline]
    pub fn text(&mut self, start: Start, value: &str) {
        self.0.extend_from_slice(start.as_bytes());
        self.push_text(value);
    }

    /// A text of letters, digits and such signs as mean nothing in JSON.
    #[inline]
    pub fn plain(&mut self, start: Start, value: &str) {
        self.0.extend_from_slice(start.as_bytes());
        self.push_quoted(value.as_bytes());
    }

    fn push_quoted(&mut self, plain: &[u8]) {
        self.0.reserve(plain.len() + 2);
        self.0.push(b'"');
        self.0.extend_from_slice(plain);
        self.0.push(b'"');
    }

    fn push_text(&mut self, value: &str) {
        // Looks at every byte, which goes many at a time.
        let is_special = |byte: &u8| (*byte < b' ') | (*byte == b'"') | (*byte == b'\\');
        if value
            .as_bytes()
            .iter()
            .fold(false, |found, byte| found | is_special(byte))
        {
            // A text written into a Vec: there is nothing to fail.
            let _ = serde_json::to_writer(&mut self.0, value);
            return;
        }
        self.push_quoted(value.as_bytes());
    }

    #[inline]
    pub fn number(&mut self, start: Start, value: u64) {
        self.0.extend_from_slice(start.as_bytes());
        push_number(&mut self.0, value);
    }

    pub fn flag(&mut self, start: Start, value: bool) {
        self.0.extend_from_slice(start.as_bytes());
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// An object of texts, whose names are anybody's.
    pub fn members(&mut self, start: Start, members: &[(Arc<str>, String)]) {
        self.0.extend_from_slice(start.as_bytes());
        for (index, (name, value)) in members.iter().enumerate() {
            self.0.push(if index == 0 { b'{' } else { b',' });
            self.push_text(name);
            self.0.push(b':');
            self.push_text(value);
        }
        self.0.push(b'}');
    }

    pub fn address(&mut self, start: Start, value: SocketAddr) {
        self.0.extend_from_slice(start.as_bytes());
        self.push_quoted(AddressText::from(value).as_bytes());
    }

    /// The line, with its end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"}\n");
        self.0
    }
}

fn push_number(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; DIGITS];
    let mut at = DIGITS;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_written_as_anybody_would_write_them() {
        let addresses = [
            "192.0.2.1:4711",
            "0.10.255.9:0",
            "[2001:db8::1]:65535",
            "[::ffff:1.2.3.4]:8",
        ];
        let numbers = [0, 9, 10, 42, 1_000, u64::MAX];
        for text in ["", "plain", "a\"b\\c\u{1}\n", "gr\u{fc}n \u{202e}\u{7f}"] {
            for (at, address) in addresses.into_iter().enumerate() {
                let mut object = Object::with_capacity(0);
                object.text("{\"text\":", text);
                object.address(",\"address\":", address.parse().unwrap());
                object.number(",\"number\":", numbers[at]);
                object.number(",\"large\":", numbers[at + 2]);
                object.flag(",\"flag\":", at == 0);
                object.plain(",\"plain\":", "a-9");
                let line = object.end();
                assert!(line.ends_with(b"}\n"));
                let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
                let expected = serde_json::json!({
                    "text": text, "address": address, "number": numbers[at], "large": numbers[at + 2], "flag": at == 0,
                    "plain": "a-9",
                });
                assert_eq!(read, expected);
            }
        }
    }
}
