use super::Refused;
use super::fields::is_value_byte;
use crate::alphabet::TOKEN;

/// The strict reading of a chunked body, in the pieces in which it arrives. Nothing of it is kept.
///
/// What it accepts has one reading: sizes are plain hexadecimal digits, extensions those of RFC 9112, trailers fields as
/// in a head, and every line ends with CR LF.
#[derive(Clone, Debug, Default)]
pub struct ChunkScan {
    state: State,
    /// Of the chunk: what was announced, then what is still to come.
    size: u64,
    /// Of the line with the size, or of all trailers.
    seen: usize,
}

/// What the next byte has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    #[default]
    Start,
    Size,
    /// The first byte of the name of an extension.
    NameStart,
    Name,
    /// The first byte of the value of an extension.
    ValueStart,
    Value,
    Quoted,
    Escaped,
    Unquoted,
    SizeFeed,
    Data,
    DataReturn,
    DataFeed,
    /// A trailer, or the empty line that ends everything.
    Line,
    TrailerName,
    TrailerValue,
    TrailerFeed,
    LastFeed,
    Over,
    Broken,
}

/// Sixteen digits are what 64 bits hold.
const MOST_DIGITS: usize = 16;
/// Bytes of a line with a size and its extensions. The proxy engine stops at 8 KiB, and would say nothing.
const LONGEST_LINE: usize = 1024;
/// Bytes of all trailers, which nobody gets. The proxy engine stops at 64 KiB.
const LONGEST_TRAILERS: usize = 16 * 1024;

// === impl ChunkScan ===

impl ChunkScan {
    /// Goes on with the next bytes, and says how many of them belong to the body: all, until it has ended.
    ///
    /// # Errors
    /// The answer to a body that can be read in two ways. There is no going on after it.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        let advanced = self.read(bytes);
        if advanced.is_err() {
            self.state = State::Broken;
        }
        advanced
    }

    /// The body has ended, and everything of it was plain.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The body was refused.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    fn read(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Over => return Ok(at),
                State::Data => at += self.skip(bytes.len() - at),
                _ => {
                    self.state = self.next(bytes[at])?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }

    /// Passes over what is here of the data.
    fn skip(&mut self, here: usize) -> usize {
        // What does not fit is more than can be here.
        let part = usize::try_from(self.size).map_or(here, |size| size.min(here));
        self.size -= part as u64;
        if self.size == 0 {
            self.state = State::DataReturn;
        }
        part
    }

    fn next(&mut self, byte: u8) -> Result<State, Refused> {
        use State::*;
        match self.state {
            Start | Size | NameStart | Name | ValueStart | Value | Quoted | Escaped | Unquoted => {
                self.seen += 1;
                if self.seen > LONGEST_LINE {
                    return Err(malformed("a line with a chunk size is too long"));
                }
                self.next_of_line(byte)
            }
            SizeFeed => feed(byte, if self.size == 0 { self.trailers() } else { Data }),
            DataReturn => match byte {
                b'\r' => Ok(DataFeed),
                _ => Err(malformed("a chunk is longer than its size")),
            },
            DataFeed => feed(byte, self.chunk()),
            Line | TrailerName | TrailerValue | TrailerFeed | LastFeed => {
                self.seen += 1;
                if self.seen > LONGEST_TRAILERS {
                    return Err(Refused::trailers_too_large(LONGEST_TRAILERS));
                }
                self.next_of_trailers(byte)
            }
            Data | Over | Broken => Err(malformed("it was refused already")),
        }
    }

    /// In the line of a size and its extensions.
    fn next_of_line(&mut self, byte: u8) -> Result<State, Refused> {
        use State::*;
        match (self.state, byte) {
            (Start | Size, digit) if digit.is_ascii_hexdigit() => self.digit(digit),
            (Start, _) => Err(malformed("a chunk has no size in hexadecimal digits")),
            (Size | Name | Value | Unquoted, b';') => Ok(NameStart),
            (Size | Name | Value | Unquoted, b'\r') => Ok(SizeFeed),
            (Size, _) => Err(malformed("a chunk size is not plain hexadecimal digits")),
            (Name, b'=') => Ok(ValueStart),
            (ValueStart, b'"') => Ok(Quoted),
            (NameStart | Name, byte) if TOKEN.has(byte) => Ok(Name),
            (ValueStart | Value, byte) if TOKEN.has(byte) => Ok(Value),
            (Quoted, b'"') => Ok(Unquoted),
            (Quoted, b'\\') => Ok(Escaped),
            (Quoted | Escaped, b'\t' | b' '..=b'~') => Ok(Quoted),
            _ => Err(malformed(
                "a chunk extension is not a name, or a name and a value",
            )),
        }
    }

    fn next_of_trailers(&self, byte: u8) -> Result<State, Refused> {
        use State::*;
        match (self.state, byte) {
            (Line, b'\r') => Ok(LastFeed),
            (Line, b' ' | b'\t') => Err(malformed("a trailer is folded over several lines")),
            (TrailerName, b':') => Ok(TrailerValue),
            (Line | TrailerName, byte) if TOKEN.has(byte) => Ok(TrailerName),
            (Line | TrailerName, _) => Err(malformed("a trailer is not a name, a colon and a value")),
            (TrailerValue, b'\r') => Ok(TrailerFeed),
            (TrailerValue, byte) if is_value_byte(byte) => Ok(TrailerValue),
            (TrailerFeed, byte) => feed(byte, Line),
            (LastFeed, byte) => feed(byte, Over),
            _ => Err(malformed("the value of a trailer contains a control character")),
        }
    }

    fn digit(&mut self, digit: u8) -> Result<State, Refused> {
        let value = char::from(digit).to_digit(16).unwrap_or_default();
        let size = (self.seen <= MOST_DIGITS)
            .then(|| self.size << 4 | u64::from(value))
            // As in Content-Length: what others hold in signed numbers.
            .filter(|size| i64::try_from(*size).is_ok());
        self.size = size.ok_or_else(|| malformed("a chunk size is too large"))?;
        Ok(State::Size)
    }

    fn chunk(&mut self) -> State {
        (self.size, self.seen) = (0, 0);
        State::Start
    }

    fn trailers(&mut self) -> State {
        self.seen = 0;
        State::Line
    }
}

fn feed(byte: u8, then: State) -> Result<State, Refused> {
    match byte {
        b'\n' => Ok(then),
        _ => Err(malformed("a line does not end with CR LF")),
    }
}

fn malformed(problem: &str) -> Refused {
    Refused::framing(format!("the chunked body is malformed: {problem}"))
}
