use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::Node;

/// Why a text is no JSON that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line, from 1.
    Syntax(usize),
    /// An object has this key more than once.
    Twice(String),
}

/// Reads one value; a byte order mark in front is skipped.
///
/// # Errors
///
/// It is no JSON, or an object in it has a key twice.
pub fn read(text: &[u8]) -> Result<Node, Fault> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let twice = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let node = Seed(&twice).deserialize(&mut reader);
    let node = node.and_then(|node| reader.end().map(|()| node));
    node.map_err(|error| match twice.take() {
        Some(key) => Fault::Twice(key),
        None => Fault::Syntax(error.line().max(1)),
    })
}

// === impl Fault ===

impl Fault {
    /// The sentence about a file.
    pub fn sentence(&self, file: &str) -> String {
        match self {
            Self::Syntax(line) => format!("{file}:{line}: not JSON"),
            Self::Twice(key) => format!("{file}: key \"{key}\" appears twice"),
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'a>(&'a RefCell<Option<String>>);

// === impl Seed ===

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Node, E> {
        Ok(Node::Bool(is))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("not a number"))?;
        Ok(Node::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut map: Vec<(String, Node)> = Vec::new();
        let mut names = BTreeSet::new();
        let mut again = None;
        while let Some(name) = members.next_key::<String>()? {
            let node = members.next_value_seed(self)?;
            if !names.insert(name.clone()) && again.is_none() {
                again = Some(name.clone());
            }
            map.push((name, node));
        }
        // Told at its end: what is no JSON at all is said to be none first.
        if again.is_some() {
            *self.0.borrow_mut() = again;
            return Err(A::Error::custom("a key appears twice"));
        }
        Ok(Node::Map(map))
    }
}
