//! Finds the line of a field. YAML values do not remember where they stood, so the text is looked at again; in flow
//! style the line of the nearest parent in block style is found.

/// A key or an item, where it stands.
#[derive(Debug)]
struct Mark<'t> {
    line: usize,
    column: usize,
    /// `None`: an item of a list.
    key: Option<&'t str>,
}

/// The line, counted from 1, of a field such as `spec.directives.headerUp[0]`.
pub(super) fn line(text: &str, field: &str) -> usize {
    let marks = marks(text);
    let first = marks.first().map_or(1, |mark| mark.line);
    let mut found: Option<usize> = None;
    for part in field.split('.').filter(|part| !part.is_empty()) {
        let mut steps = part.split(['[', ']']).filter(|step| !step.is_empty());
        let key = steps.next().unwrap_or_default();
        let Some(at) = child(&marks, found, |marks| {
            marks.iter().position(|m| m.key == Some(key))
        }) else {
            break;
        };
        found = Some(at);
        for index in steps {
            let index: usize = index.parse().unwrap_or_default();
            let nth = |marks: &[&Mark<'_>]| {
                let items = marks.iter().enumerate().filter(|(_, m)| m.key.is_none());
                items.map(|(at, _)| at).nth(index)
            };
            let Some(at) = child(&marks, found, nth) else {
                break;
            };
            found = Some(at);
        }
    }
    found.map_or(first, |at| marks[at].line)
}

/// Which of the direct children of a mark (of the whole text, if there is none) is chosen.
fn child(
    marks: &[Mark<'_>],
    parent: Option<usize>,
    choose: impl Fn(&[&Mark<'_>]) -> Option<usize>,
) -> Option<usize> {
    let begin = parent.map_or(0, |parent| parent + 1);
    let inside = |mark: &Mark<'_>| match parent.map(|parent| &marks[parent]) {
        None => true,
        // The items of a list may stand below the first letter of its key.
        Some(parent) if parent.key.is_some() && mark.key.is_none() => mark.column >= parent.column,
        Some(parent) => mark.column > parent.column,
    };
    let block: Vec<(usize, &Mark<'_>)> = marks
        .iter()
        .enumerate()
        .skip(begin)
        .take_while(|(_, mark)| inside(mark))
        .collect();
    let level = block.first()?.1.column;
    let direct: Vec<(usize, &Mark<'_>)> = block.into_iter().filter(|(_, m)| m.column == level).collect();
    let chosen = choose(&direct.iter().map(|(_, mark)| *mark).collect::<Vec<_>>())?;
    Some(direct[chosen].0)
}

/// Where this key is written again in a map that has it already, in block style: its line, and that of the first.
pub(super) fn again(text: &str, key: &str) -> Option<(usize, usize)> {
    let marks = marks(text);
    let is_same = |mark: &Mark<'_>| mark.key == Some(key);
    marks.iter().enumerate().find_map(|(at, mark)| {
        let before = marks[..at].iter().rev();
        // What stands further in belongs to a key of the same map, and so do items as far out as their key.
        let siblings = before
            .take_while(|other| other.column >= mark.column)
            .filter(|other| other.column == mark.column);
        let first = siblings.filter(|other| is_same(other)).last();
        first
            .filter(|_| is_same(mark))
            .map(|first| (mark.line, first.line))
    })
}

fn marks(text: &str) -> Vec<Mark<'_>> {
    let mut marks = Vec::new();
    for (number, content) in text.lines().enumerate() {
        let mut rest = content.trim_start();
        let mut column = content.len() - rest.len();
        if rest.starts_with('#') {
            continue;
        }
        while let Some(item) = rest.strip_prefix("- ") {
            marks.push(Mark {
                line: number + 1,
                column,
                key: None,
            });
            let trimmed = item.trim_start();
            column += rest.len() - trimmed.len();
            rest = trimmed;
        }
        let Some((key, after)) = rest.split_once(':') else {
            continue;
        };
        let key = key.trim_matches(['"', '\'']);
        if (after.is_empty() || after.starts_with(' ')) && !key.contains([' ', '{', '[']) {
            marks.push(Mark {
                line: number + 1,
                column,
                key: Some(key),
            });
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::{again, line};

    #[test]
    fn a_key_is_there_twice_only_within_one_map() {
        let text = "spec:\n  a:\n  - path: /x\n    method: GET\n  - path: /y\n  b: {path: /z}\n  a: 1\n";
        assert_eq!(again(text, "a"), Some((7, 2)));
        assert_eq!(again(text, "path"), None);
        assert_eq!(again("a:\n- b: 1\n  c: 2\n  b: 3\n", "b"), Some((4, 2)));
        assert_eq!(again("a:\n- b: 1\n\"a\": 2\n", "a"), Some((3, 1)));
        assert_eq!(again("x:\n  a: 1\ny:\n  a: 2\n", "a"), None);
    }

    const TEXT: &str = "\
# a remark
kind: A
metadata: {name: x}
spec:
  matcher:
  - path: /a
    method: GET
  directives:
    headerUp:
      - -Authorization
      # between
      - \"Foo: bar\"
  upstream:
    url: http://h.example
";

    #[test]
    fn a_field_is_found_where_it_stands() {
        for (field, expected) in [
            ("spec", 4),
            ("spec.matcher", 5),
            ("spec.matcher[0].method", 7),
            ("spec.directives.headerUp[1]", 12),
            ("spec.upstream.url", 14),
        ] {
            assert_eq!(line(TEXT, field), expected, "{field}");
        }
    }

    #[test]
    fn what_is_not_there_is_where_its_parent_is() {
        for (field, expected) in [
            ("", 2),
            ("metadata.name", 3),
            ("spec.upstream.service", 13),
            ("status", 2),
        ] {
            assert_eq!(line(TEXT, field), expected, "{field}");
        }
        assert_eq!(line("", "spec"), 1);
    }
}
