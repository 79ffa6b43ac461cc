//! What JSON and YAML texts hold, in the order in which they hold it.

pub mod json;
pub mod yaml;

use serde_json::{Map, Number, Value};

/// Maps and lists within one another at most, of YAML.
pub const DEEPEST: usize = 64;

/// A value whose maps keep their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

// === impl Node ===

impl Node {
    /// The member of that name; `None` for what is no map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let members = self.as_map()?;
        members.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The member of that name, unless it is null.
    pub fn given(&self, key: &str) -> Option<&Node> {
        self.get(key).filter(|node| **node != Node::Null)
    }

    pub fn as_map(&self) -> Option<&[(String, Node)]> {
        match self {
            Self::Map(members) => Some(members),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match self {
            Self::List(items) => Some(items),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Map(_) => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(is) => Some(*is),
            Self::Null | Self::Number(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The text of a text, number or boolean.
    pub fn scalar(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Bool(is) => Some(is.to_string()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// As sentences show it: a text as it is, all else as JSON.
    pub fn shown(&self) -> String {
        self.scalar().unwrap_or_else(|| self.to_value().to_string())
    }

    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(is) => Value::Bool(*is),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Map(members) => {
                let members = members.iter().map(|(name, node)| (name.clone(), node.to_value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}
