use serde::Deserialize;
use serde_json::Value;

/// The documents of a YAML text, members of Lists among them, each behind the line at which its document begins; and the
/// errors of those that cannot be read, each with its line in the text. Documents are cut apart first, so that one does not
/// take the others with it.
pub fn documents(text: &str) -> (Vec<(usize, Value)>, Vec<String>) {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for (before, document) in split(text) {
        let line = before + 1;
        match read(document) {
            Ok(Value::Null) => {}
            Ok(mut value) if value["kind"] == "List" => {
                let items = value["items"].as_array_mut().map(std::mem::take);
                values.extend(items.into_iter().flatten().map(|item| (line, item)));
            }
            Ok(value) => values.push((line, value)),
            Err(e) => errors.push(describe(&e, before)),
        }
    }
    (values, errors)
}

/// The parser counts lines from the beginning of a document and says so in its text; people look at the file.
fn describe(error: &serde_yaml::Error, before: usize) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    match error.location() {
        Some(at) => format!("line {}, column {}: {what}", at.line() + before, at.column()),
        None => format!("the document at line {}: {what}", before + 1),
    }
}

fn read(document: &str) -> Result<Value, serde_yaml::Error> {
    let Some(first) = serde_yaml::Deserializer::from_str(document).next() else {
        return Ok(Value::Null);
    };
    Value::deserialize(first)
}

/// Each document with the number of lines before it.
pub fn split(text: &str) -> Vec<(usize, &str)> {
    let (mut out, mut begin, mut first) = (Vec::new(), 0, 0);
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            out.push((first, &text[begin..offset]));
            begin = offset + line.len();
            first = number + 1;
        }
        offset += line.len();
    }
    out.push((first, &text[begin..]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_document_leaves_the_others() {
        let (values, errors) =
            documents("kind: A\n---\nkind: [\n---\nkind: List\nitems: [{kind: B}, {kind: C}]\n---\n");
        let kinds: Vec<_> = values
            .iter()
            .map(|(line, v)| (*line, v["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(kinds, [(1, "A"), (5, "B"), (5, "C")]);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].starts_with("line "), "{}", errors[0]);
    }

    #[test]
    fn nothing_is_no_error() {
        assert_eq!(documents("# only a remark\n---\n"), (vec![], vec![]));
    }
}
