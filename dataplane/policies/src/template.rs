//! Texts that may hold `{{ CEL }}`.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::exchange::Exchange;
use crate::expr::Expr;

/// A text, compiled once.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Box<[Part]>,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Expr(Expr),
}

/// Any JSON whose texts are templates.
#[derive(Debug)]
pub(crate) enum Json {
    Fixed(Value),
    Text(Template),
    List(Vec<Json>),
    Members(Vec<(String, Json)>),
}

// === impl Template ===

impl Template {
    /// # Errors
    /// Why it cannot be used, in one sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].into()));
            }
            let inside = &rest[start + 2..];
            let end = end_of(inside).ok_or("{{ is not closed by }}")?;
            parts.push(Part::Expr(Expr::compile(inside[..end].trim())?));
            rest = &inside[end + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self { parts: parts.into() })
    }

    /// The text, where nothing of it is computed.
    pub(crate) fn as_fixed(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            [Part::Expr(_)] | [_, _, ..] => None,
        }
    }

    /// What is written out in front of the first expression.
    pub(crate) fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            Some(Part::Expr(_)) | None => "",
        }
    }

    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Expr(expr) => Some(expr),
        })
    }

    /// # Errors
    /// Why there is no text, in one sentence.
    pub(crate) fn render(&self, exchange: &Exchange<'_>, now: Duration) -> Result<String, String> {
        if let Some(text) = self.as_fixed() {
            return Ok(text.to_owned());
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expr(expr) => expr.write(&mut out, exchange, now)?,
            }
        }
        Ok(out)
    }

    /// What is computed is changed before it is put in.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub(crate) fn render_with(
        &self,
        exchange: &Exchange<'_>,
        now: Duration,
        change: fn(&str) -> String,
    ) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expr(expr) => {
                    let mut value = String::new();
                    expr.write(&mut value, exchange, now)?;
                    out.push_str(&change(&value));
                }
            }
        }
        Ok(out)
    }

    /// One expression alone keeps the type of its value.
    ///
    /// # Errors
    /// Why there is no value, in one sentence.
    pub(crate) fn value(&self, exchange: &Exchange<'_>, now: Duration) -> Result<Value, String> {
        match &*self.parts {
            [Part::Expr(expr)] => expr.json(exchange, now),
            [] | [Part::Text(_)] | [_, _, ..] => self.render(exchange, now).map(Value::String),
        }
    }
}

// === impl Json ===

impl Json {
    /// # Errors
    /// Where a text cannot be used, and why.
    pub(crate) fn parse(value: &Value, path: &str) -> Result<Self, (String, String)> {
        Ok(match value {
            Value::String(text) => {
                let template = Template::parse(text).map_err(|error| (path.to_owned(), error))?;
                match template.as_fixed() {
                    Some(text) => Self::Fixed(text.into()),
                    None => Self::Text(template),
                }
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(index, item)| Self::parse(item, &format!("{path}[{index}]")));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let members = members.iter();
                let members = members
                    .map(|(name, item)| Ok((name.clone(), Self::parse(item, &format!("{path}.{name}"))?)));
                Self::Members(members.collect::<Result<_, (String, String)>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Fixed(value.clone()),
        })
    }

    /// # Errors
    /// Why there is no value, in one sentence.
    pub(crate) fn value(&self, exchange: &Exchange<'_>, now: Duration) -> Result<Value, String> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => template.value(exchange, now)?,
            Self::List(items) => {
                let items = items.iter().map(|item| item.value(exchange, now));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Members(members) => {
                let members = members.iter();
                let members = members.map(|(name, item)| Ok((name.clone(), item.value(exchange, now)?)));
                Value::Object(members.collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

/// Where `}}` ends an expression: not inside of its texts and maps.
fn end_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut quote, mut at) = (0_usize, None, 0);
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_end_where_they_end() {
        for (text, parts) in [
            ("plain", 1),
            ("a{{ auth.user }}b", 3),
            (r#"{{ {"a": {"b": 1}}.a.b }}"#, 1),
            (r#"{{ "}}" }}"#, 1),
            ("{\"who\":\"{{ auth.user }}\"}", 3),
            ("", 0),
        ] {
            assert_eq!(Template::parse(text).unwrap().parts.len(), parts, "{text}");
        }
        assert!(Template::parse("{{ auth.user").is_err());
        assert!(Template::parse("{{ nothing }}").is_err());
    }
}
