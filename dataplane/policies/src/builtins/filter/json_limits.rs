use genkan_routing::answer::reason;
use serde::Deserialize;

use super::refused;
use crate::answer::PolicyAnswer;
use crate::json;
use crate::step::Stop;

/// How deep, wide and long JSON may be; lengths are in bytes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct JsonLimits {
    #[allow(dead_code, reason = "JSON is parsed in any case")]
    parse: bool,
    max_depth: usize,
    max_members: usize,
    max_items: usize,
    max_name_length: usize,
    max_string_length: usize,
    max_number_length: usize,
}

/// One object or list that is open.
struct Level {
    is_object: bool,
    entries: usize,
    /// The next text is a name.
    wants_name: bool,
}

// === impl JsonLimits ===

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            parse: true,
            max_depth: 64,
            max_members: 10_000,
            max_items: 10_000,
            max_name_length: 1024,
            max_string_length: 1 << 20,
            max_number_length: 64,
        }
    }
}

impl JsonLimits {
    /// The limits first, by a look at the signs alone: what is too deep is never parsed.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), Stop> {
        self.measure(body).map_err(|text| refused(400, text))?;
        json::read(body).map_err(|error| {
            let text = format!("the body cannot be read: {error}");
            PolicyAnswer::refused(400, reason::BAD_INPUT, text)
        })?;
        Ok(())
    }

    fn measure(&self, body: &[u8]) -> Result<(), String> {
        let mut levels: Vec<Level> = Vec::new();
        let mut at = 0;
        while let Some(&byte) = body.get(at) {
            match byte {
                b'{' | b'[' => {
                    levels.push(Level {
                        is_object: byte == b'{',
                        entries: 0,
                        wants_name: byte == b'{',
                    });
                    if levels.len() > self.max_depth {
                        return Err(format!("the body is deeper than {} levels", self.max_depth));
                    }
                    // The first entry has no comma in front.
                    if !is_closed_next(body, at + 1) {
                        self.entry(levels.last_mut())?;
                    }
                }
                b'}' | b']' => {
                    levels.pop();
                }
                b',' => self.entry(levels.last_mut())?,
                b':' => {
                    if let Some(level) = levels.last_mut() {
                        level.wants_name = false;
                    }
                }
                b'"' => {
                    let end = end_of_text(body, at + 1);
                    let length = end - at - 1;
                    let is_name = levels.last().is_some_and(|level| level.wants_name);
                    if is_name && length > self.max_name_length {
                        return Err(format!("a name is longer than {} bytes", self.max_name_length));
                    }
                    if !is_name && length > self.max_string_length {
                        return Err(format!("a text is longer than {} bytes", self.max_string_length));
                    }
                    at = end;
                }
                b'-' | b'0'..=b'9' => {
                    let rest = body[at..].iter();
                    let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                    let length = rest.take_while(is_part).count();
                    if length > self.max_number_length {
                        return Err(format!(
                            "a number is longer than {} bytes",
                            self.max_number_length
                        ));
                    }
                    at += length - 1;
                }
                _ => {}
            }
            at += 1;
        }
        Ok(())
    }

    fn entry(&self, level: Option<&mut Level>) -> Result<(), String> {
        let Some(level) = level else {
            return Ok(());
        };
        level.entries += 1;
        level.wants_name = level.is_object;
        let (most, what) = if level.is_object {
            (self.max_members, "members")
        } else {
            (self.max_items, "items")
        };
        if level.entries > most {
            return Err(format!("the body has more than {most} {what} in one place"));
        }
        Ok(())
    }
}

fn is_closed_next(body: &[u8], at: usize) -> bool {
    let rest = body.get(at..).unwrap_or_default();
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(next, Some(b'}' | b']'))
}

/// Where the quote is that closes it, or the end.
fn end_of_text(body: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_of_each_place() {
        let limits = JsonLimits {
            max_depth: 3,
            max_members: 2,
            max_items: 2,
            max_name_length: 3,
            max_string_length: 4,
            max_number_length: 3,
            ..JsonLimits::default()
        };
        for (text, is_good) in [
            (r#"{"a":[1,{"b":2}],"c":"wxyz"}"#, true),
            (r#"{"a":[[[]]]}"#, false),
            (r#"{"a":1,"b":2,"c":3}"#, false),
            ("[1,2,3]", false),
            ("[ ]", true),
            (r#"{"abcd":1}"#, false),
            (r#"["abcde"]"#, false),
            (r#"{"a":"abcde"}"#, false),
            (r#"["a\"bc"]"#, false),
            ("[1234]", false),
            ("[-12]", true),
            (r#"["[[[[[["]"#, false),
            (r#"["[[[["]"#, true),
        ] {
            assert_eq!(limits.measure(text.as_bytes()).is_ok(), is_good, "{text}");
        }
    }
}
