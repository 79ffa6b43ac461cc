//! Shell globs as Go's `path.Match` reads them: `*` and `?` do not cross a slash, classes and escapes.

use std::ops::Range;

use super::work::{Spent, Work};

/// Flat, so that it takes a small multiple of what was written.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    literals: Box<[u8]>,
    /// Of all classes; sorted within each, and apart from one another.
    ranges: Box<[(u32, u32)]>,
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone)]
enum Piece {
    Star,
    AnyCharacter,
    /// Where its ranges are.
    Class {
        negated: bool,
        start: u32,
        end: u32,
    },
    /// Where its bytes are.
    Literal {
        start: u32,
        end: u32,
    },
}

/// No character is longer.
const LONGEST_CHARACTER: usize = 4;

// === impl Glob ===

impl Glob {
    /// `None`: it is malformed.
    pub(super) fn parse(glob: &[u8]) -> Option<Self> {
        let (mut literals, mut ranges, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = glob;
        while let [first, tail @ ..] = rest {
            rest = tail;
            let literal = match first {
                // Several in a row take no more than one.
                b'*' if matches!(pieces.last(), Some(Piece::Star)) => continue,
                b'*' => {
                    pieces.push(Piece::Star);
                    continue;
                }
                b'?' => {
                    pieces.push(Piece::AnyCharacter);
                    continue;
                }
                b'[' => {
                    pieces.push(parse_class(&mut rest, &mut ranges)?);
                    continue;
                }
                b'\\' => {
                    let (byte, tail) = rest.split_first()?;
                    rest = tail;
                    *byte
                }
                byte => *byte,
            };
            let start = position(literals.len());
            literals.push(literal);
            match pieces.last_mut() {
                Some(Piece::Literal { end, .. }) => *end = position(literals.len()),
                _ => pieces.push(Piece::Literal {
                    start,
                    end: position(literals.len()),
                }),
            }
        }
        Some(Self {
            literals: literals.into(),
            ranges: ranges.into(),
            pieces: pieces.into(),
        })
    }

    /// Does it take the whole name?
    ///
    /// Each run of pieces behind a star takes the first place where it fits: no piece but a star has a choice, so a later
    /// star makes every earlier one settled. A star cannot give way past a slash.
    pub(super) fn matches(&self, name: &[u8], work: &Work) -> Result<bool, Spent> {
        let mut runs = self.pieces.split(|piece| matches!(piece, Piece::Star)).peekable();
        let Some(mut at) = self.fits(runs.next().unwrap_or_default(), name, work)? else {
            return Ok(false);
        };
        if runs.peek().is_none() {
            return Ok(at == name.len());
        }
        let mut slash = next_slash(name, at);
        while let Some(run) = runs.next() {
            if at > slash {
                slash = next_slash(name, at);
            }
            if runs.peek().is_none() {
                return self.ends(run, name, at..slash, work);
            }
            match self.find(run, name, at..slash, work)? {
                Some(end) => at = end,
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Where the first place ends in which the run fits; it begins within `starts`, or at its end.
    fn find(
        &self,
        run: &[Piece],
        name: &[u8],
        starts: Range<usize>,
        work: &Work,
    ) -> Result<Option<usize>, Spent> {
        if let [Piece::Literal { start, end }] = run {
            let literal = self.literal(*start, *end);
            let last = name.len().min(starts.end + literal.len());
            let within = name.get(starts.start..last).unwrap_or_default();
            let found = memchr::memmem::find(within, literal);
            work.spend(found.unwrap_or(within.len()) + literal.len())?;
            return Ok(found.map(|at| starts.start + at + literal.len()));
        }
        for start in starts.start..=starts.end {
            if let Some(length) = self.fits(run, &name[start..], work)? {
                return Ok(Some(start + length));
            }
        }
        Ok(None)
    }

    /// As [`find`](Self::find), with nothing of the name behind it.
    fn ends(&self, run: &[Piece], name: &[u8], starts: Range<usize>, work: &Work) -> Result<bool, Spent> {
        let (mut shortest, mut longest) = (0, 0);
        for piece in run {
            let (least, most) = match piece {
                Piece::Literal { start, end } => {
                    let length = self.literal(*start, *end).len();
                    (length, length)
                }
                _ => (1, LONGEST_CHARACTER),
            };
            shortest += least;
            longest += most;
        }
        let Some(last) = name.len().checked_sub(shortest) else {
            return Ok(false);
        };
        let first = starts.start.max(name.len().saturating_sub(longest));
        work.spend(run.len())?;
        for start in first..=last.min(starts.end) {
            if self.fits(run, &name[start..], work)? == Some(name.len() - start) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How much of the name the run takes from its beginning.
    fn fits(&self, run: &[Piece], name: &[u8], work: &Work) -> Result<Option<usize>, Spent> {
        let mut rest = name;
        for piece in run {
            work.spend(1)?;
            let taken = match piece {
                Piece::Star => None,
                Piece::Literal { start, end } => {
                    let literal = self.literal(*start, *end);
                    work.spend(literal.len() / 16)?;
                    rest.starts_with(literal).then_some(literal.len())
                }
                Piece::AnyCharacter => character(rest)
                    .filter(|(found, _)| *found != u32::from(b'/'))
                    .map(|(_, length)| length),
                Piece::Class { negated, start, end } => {
                    let ranges = &self.ranges[range(*start, *end)];
                    character(rest)
                        .filter(|(found, _)| holds(ranges, *found) != *negated)
                        .map(|(_, length)| length)
                }
            };
            let Some(taken) = taken else { return Ok(None) };
            rest = &rest[taken..];
        }
        Ok(Some(name.len() - rest.len()))
    }

    fn literal(&self, start: u32, end: u32) -> &[u8] {
        &self.literals[range(start, end)]
    }
}

/// Patterns have some KiB, or are made of a path that has some more.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn range(start: u32, end: u32) -> Range<usize> {
    start as usize..end as usize
}

fn next_slash(name: &[u8], from: usize) -> usize {
    let behind = name.get(from..).unwrap_or_default();
    memchr::memchr(b'/', behind).map_or(name.len(), |at| from + at)
}

fn holds(ranges: &[(u32, u32)], character: u32) -> bool {
    let at = ranges.partition_point(|(_, high)| *high < character);
    ranges.get(at).is_some_and(|(low, _)| *low <= character)
}

fn parse_class(rest: &mut &[u8], ranges: &mut Vec<(u32, u32)>) -> Option<Piece> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut written = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !written.is_empty() {
            *rest = &rest[1..];
            break;
        }
        let low = class_character(rest)?;
        let mut high = low;
        if rest.first() == Some(&b'-') {
            *rest = &rest[1..];
            high = class_character(rest)?;
        }
        written.push((low, high));
    }
    // One that goes backwards holds nothing.
    written.retain(|(low, high)| low <= high);
    written.sort_unstable();
    let start = ranges.len();
    for (low, high) in written {
        match ranges[start..].last_mut() {
            Some((_, last)) if low <= *last => *last = high.max(*last),
            _ => ranges.push((low, high)),
        }
    }
    Some(Piece::Class {
        negated,
        start: position(start),
        end: position(ranges.len()),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// By trying every length of every star.
    fn naive(glob: &[u8], name: &[u8]) -> bool {
        match glob {
            [] => name.is_empty(),
            [b'*', tail @ ..] => (0..=name.len())
                .take_while(|&at| !name[..at].contains(&b'/'))
                .any(|at| naive(tail, &name[at..])),
            [b'?', tail @ ..] => name.first().is_some_and(|byte| *byte != b'/') && naive(tail, &name[1..]),
            [byte, tail @ ..] => name.first() == Some(byte) && naive(tail, &name[1..]),
        }
    }

    fn words(alphabet: &[u8], length: usize) -> Vec<Vec<u8>> {
        let mut words = vec![Vec::new()];
        for _ in 0..length {
            let longer = words
                .iter()
                .flat_map(|word: &Vec<u8>| alphabet.iter().map(|byte| [word.as_slice(), &[*byte]].concat()));
            words = longer.collect();
        }
        words
    }

    #[test]
    fn every_short_glob_takes_what_trying_everything_takes() {
        let names: Vec<_> = (0..=5).flat_map(|length| words(b"ab/", length)).collect();
        let mut taken = 0;
        for written in (0..=5).flat_map(|length| words(b"a/*?", length)) {
            let glob = Glob::parse(&written).unwrap();
            for name in &names {
                let found = glob.matches(name, &Work::default()).unwrap();
                assert_eq!(found, naive(&written, name), "{written:?} on {name:?}");
                taken += usize::from(found);
            }
        }
        assert!(taken > 5_000, "{taken}");
    }

    #[test]
    fn overlapping_and_backward_ranges_are_one_class() {
        for (written, name, expected) in [
            ("[c-ea-db-c]", "e", true),
            ("[a-cd-e]", "d", true),
            ("[z-a]", "m", false),
            ("[^z-a]", "m", true),
            ("[^a-c]*", "d/", false),
            ("x*[0-9]é", "x12é", true),
        ] {
            let glob = Glob::parse(written.as_bytes()).unwrap();
            assert_eq!(
                glob.matches(name.as_bytes(), &Work::default()),
                Ok(expected),
                "{written}"
            );
        }
    }

    #[test]
    fn literals_between_stars_cost_their_length_and_that_of_the_name() {
        let name = "a".repeat(60_000);
        for glob in [
            format!("*{}b*", "a".repeat(8_000)),
            "*a".repeat(4_000) + "b",
            format!("{}b", "a*".repeat(4_000)),
        ] {
            let (glob, work) = (Glob::parse(glob.as_bytes()).unwrap(), Work::default());
            assert_eq!(glob.matches(name.as_bytes(), &work), Ok(false));
            assert_eq!(work.spend(16_000_000), Ok(()), "nearly everything is left");
        }
    }

    #[test]
    fn what_would_take_a_minute_is_given_up() {
        let name = "a".repeat(60_000);
        let glob = Glob::parse(format!("*?{}b*", "a".repeat(7_990)).as_bytes()).unwrap();
        let classes = Glob::parse(format!("*{}b*", "[a-c]".repeat(1_500)).as_bytes()).unwrap();
        assert_eq!(classes.matches(name.as_bytes(), &Work::default()), Err(Spent));
        assert_eq!(glob.matches(name.as_bytes(), &Work::default()), Err(Spent));
    }
}
