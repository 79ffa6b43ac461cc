//! Shell globs as Go's `path.Match` reads them: `*` and `?` do not cross a slash, classes and escapes.

#[derive(Debug, Clone)]
pub(super) struct Glob(Box<[Item]>);

#[derive(Debug, Clone)]
enum Item {
    Star,
    AnyCharacter,
    Class { negated: bool, ranges: Vec<(u32, u32)> },
    Byte(u8),
}

// === impl Glob ===

impl Glob {
    /// `None`: it is malformed.
    pub(super) fn parse(glob: &[u8]) -> Option<Self> {
        parse(glob).map(|items| Self(items.into()))
    }

    /// Does it take the whole name?
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        matches_items(&self.0, name)
    }
}

fn parse(glob: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::with_capacity(glob.len());
    let mut rest = glob;
    while let [first, tail @ ..] = rest {
        rest = tail;
        items.push(match first {
            b'*' => Item::Star,
            b'?' => Item::AnyCharacter,
            b'[' => parse_class(&mut rest)?,
            b'\\' => {
                let (byte, tail) = rest.split_first()?;
                rest = tail;
                Item::Byte(*byte)
            }
            byte => Item::Byte(*byte),
        });
    }
    Some(items)
}

fn parse_class(rest: &mut &[u8]) -> Option<Item> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            *rest = &rest[1..];
            return Some(Item::Class { negated, ranges });
        }
        let low = class_character(rest)?;
        let mut high = low;
        if rest.first() == Some(&b'-') {
            *rest = &rest[1..];
            high = class_character(rest)?;
        }
        ranges.push((low, high));
    }
}

fn class_character(rest: &mut &[u8]) -> Option<u32> {
    match rest.first()? {
        b'-' | b']' => return None,
        b'\\' => *rest = &rest[1..],
        _ => {}
    }
    let (character, length) = character(rest)?;
    *rest = &rest[length..];
    // A class must be closed, so something has to follow.
    (!rest.is_empty()).then_some(character)
}

/// Iterative, with one point to come back to: a later star makes every earlier one settled, as no item but a star has a
/// choice. A star cannot give way past a slash.
fn matches_items(items: &[Item], name: &[u8]) -> bool {
    let (mut item, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if item == items.len() && at == name.len() {
            return true;
        }
        if let Some(Item::Star) = items.get(item) {
            retry = Some((item, at));
            item += 1;
            continue;
        }
        if let Some(length) = items.get(item).and_then(|item| takes(item, &name[at..])) {
            item += 1;
            at += length;
            continue;
        }
        let Some((star, from)) = retry else { return false };
        if name.get(from).is_none_or(|&byte| byte == b'/') {
            return false;
        }
        retry = Some((star, from + 1));
        item = star + 1;
        at = from + 1;
    }
}

fn takes(item: &Item, name: &[u8]) -> Option<usize> {
    match item {
        Item::Star => None,
        Item::Byte(byte) => (name.first() == Some(byte)).then_some(1),
        Item::AnyCharacter => {
            let (found, length) = character(name)?;
            (found != u32::from(b'/')).then_some(length)
        }
        Item::Class { negated, ranges } => {
            let (found, length) = character(name)?;
            let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&found));
            (inside != *negated).then_some(length)
        }
    }
}

/// The first character and its length; a byte that is no UTF-8 stands for itself.
fn character(text: &[u8]) -> Option<(u32, usize)> {
    let first = *text.first()?;
    let length = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    let decoded = text
        .get(..length)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    match decoded.and_then(|text| text.chars().next()) {
        Some(character) => Some((u32::from(character), length)),
        None => Some((0xFFFD, 1)),
    }
}
