use super::{Capture, Edit, LONGEST, Mover};
use crate::links::text::Language;

/// Modules of JavaScript: what they import and export from, and what they import by a literal. Where it cannot be told a
/// division from an expression, reading ends and the rest is left as it is.
#[derive(Debug, Default)]
pub struct Modules {
    at: At,
    last: Last,
    expects: Expects,
    word: Vec<u8>,
    braces: u32,
    /// How many braces were open where a substitution of a template began.
    templates: Vec<u32>,
    pub(super) capture: Capture,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Base,
    Word,
    Slash,
    LineComment,
    Comment,
    /// Behind an asterisk in a comment.
    Asterisk,
    Text(u8),
    TextEscape(u8),
    Template,
    TemplateEscape,
    Dollar,
    Expression,
    ExpressionEscape,
    /// In brackets of an expression.
    Class,
    ClassEscape,
    Lost,
}

/// What a slash would be behind it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The beginning of an expression.
    #[default]
    Operator,
    Plus(u8),
    /// A division.
    Operand,
    /// A division, and a word is a name.
    Dot,
    /// Either.
    Doubt,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Expects {
    #[default]
    Nothing,
    /// Behind `import`.
    Import,
    /// Behind `export`.
    Export,
    /// Names, and then `from`.
    Clause,
    From,
    /// Behind `import(`.
    Argument,
    /// Behind a text there.
    EndOfArgument,
}

const LONGEST_WORD: usize = 12;
const MOST_TEMPLATES: usize = 64;
/// Behind these an expression begins.
const KEYWORDS: [&[u8]; 15] = [
    b"await",
    b"case",
    b"default",
    b"delete",
    b"do",
    b"else",
    b"extends",
    b"in",
    b"instanceof",
    b"of",
    b"return",
    b"throw",
    b"typeof",
    b"void",
    b"yield",
];

// === impl Modules ===

impl Modules {
    pub(super) fn write(&mut self, piece: &[u8], at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        for (offset, byte) in piece.iter().enumerate() {
            if self.at == At::Lost {
                return;
            }
            if self.expects == Expects::EndOfArgument && at + offset > self.capture.start + 2 * LONGEST {
                self.expects = Expects::Nothing;
                self.capture.forget();
            }
            self.take(*byte, at + offset, mover, edits);
        }
    }

    fn take(&mut self, byte: u8, at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        let is_line_end = matches!(byte, b'\n' | b'\r');
        self.at = match (self.at, byte) {
            (At::Lost, _) => At::Lost,
            (At::Base, _) => self.base(byte, at, mover, edits),
            (At::Word, _) if is_of_word(byte) => {
                if self.word.len() <= LONGEST_WORD {
                    self.word.push(byte);
                }
                At::Word
            }
            (At::Word, _) => {
                self.end_word();
                self.base(byte, at, mover, edits)
            }
            (At::Slash, b'/') => At::LineComment,
            (At::Slash, b'*') => At::Comment,
            (At::Slash, _) => self.slash(byte, at, mover, edits),
            (At::LineComment, _) if is_line_end => At::Base,
            (At::LineComment, _) => At::LineComment,
            (At::Comment | At::Asterisk, b'*') => At::Asterisk,
            (At::Asterisk, b'/') => At::Base,
            (At::Comment | At::Asterisk, _) => At::Comment,
            (At::Text(quote), _) if byte == quote => self.end_text(mover, edits),
            (At::Text(_), _) if is_line_end => self.lose(),
            (At::Text(quote), b'\\') => {
                self.push(byte, mover, edits);
                At::TextEscape(quote)
            }
            (At::Text(quote) | At::TextEscape(quote), _) => {
                self.push(byte, mover, edits);
                At::Text(quote)
            }
            (At::Template | At::Dollar, b'`') => {
                self.last = Last::Operand;
                At::Base
            }
            (At::Template | At::Dollar, b'\\') => At::TemplateEscape,
            (At::Template | At::Dollar, b'$') => At::Dollar,
            (At::Dollar, b'{') => self.substitute(),
            (At::Template | At::TemplateEscape | At::Dollar, _) => At::Template,
            (At::Expression | At::ExpressionEscape | At::Class | At::ClassEscape, _) if is_line_end => {
                self.lose()
            }
            (At::Expression, b'/') => {
                self.last = Last::Operand;
                At::Base
            }
            (At::Expression, b'\\') => At::ExpressionEscape,
            (At::Expression, b'[') | (At::ClassEscape, _) => At::Class,
            (At::Class, b']') | (At::Expression | At::ExpressionEscape, _) => At::Expression,
            (At::Class, b'\\') => At::ClassEscape,
            (At::Class, _) => At::Class,
        };
    }

    fn base(&mut self, byte: u8, at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) -> At {
        if byte.is_ascii_whitespace() {
            return At::Base;
        }
        if byte == b'/' {
            return At::Slash;
        }
        if self.expects == Expects::EndOfArgument {
            match byte {
                b')' | b',' => self.capture.decide(Language::Script, mover, edits),
                _ => self.capture.forget(),
            }
            self.expects = Expects::Nothing;
        }
        if is_of_word(byte) {
            self.word.clear();
            self.word.push(byte);
            return At::Word;
        }
        let expects = std::mem::take(&mut self.expects);
        match byte {
            b'"' | b'\'' => {
                match expects {
                    Expects::Import | Expects::From => self.capture.begin(at + 1),
                    Expects::Argument => {
                        self.capture.begin(at + 1);
                        self.expects = Expects::EndOfArgument;
                    }
                    // A name may be a text.
                    Expects::Clause => self.expects = Expects::Clause,
                    Expects::Nothing | Expects::Export | Expects::EndOfArgument => {}
                }
                return At::Text(byte);
            }
            b'`' => return At::Template,
            _ => {}
        }
        self.expects = match (expects, byte) {
            (Expects::Import, b'(') => Expects::Argument,
            (Expects::Import | Expects::Export, b'{' | b'*') => Expects::Clause,
            (Expects::Clause | Expects::From, b'{' | b'}' | b'*' | b',') => Expects::Clause,
            _ => Expects::Nothing,
        };
        self.last = match (byte, self.last) {
            (b')' | b']', _) => Last::Operand,
            (b'.' | b'#', _) => Last::Dot,
            (b'+' | b'-', Last::Plus(sign)) if sign == byte => Last::Doubt,
            (b'+' | b'-', _) => Last::Plus(byte),
            (b'}', _) => Last::Doubt,
            _ => Last::Operator,
        };
        match byte {
            b'{' => self.braces = self.braces.saturating_add(1),
            b'}' if self.templates.last() == Some(&self.braces) => {
                self.templates.pop();
                return At::Template;
            }
            b'}' => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        At::Base
    }

    /// What the slash before this was.
    fn slash(&mut self, byte: u8, at: usize, mover: Mover<'_>, edits: &mut Vec<Edit>) -> At {
        if self.expects == Expects::EndOfArgument {
            self.capture.forget();
        }
        self.expects = Expects::Nothing;
        match self.last {
            Last::Doubt => self.lose(),
            Last::Operand | Last::Dot => {
                self.last = Last::Operator;
                self.base(byte, at, mover, edits)
            }
            Last::Operator | Last::Plus(_) => match byte {
                b'\\' => At::ExpressionEscape,
                b'[' => At::Class,
                b'\n' | b'\r' => self.lose(),
                _ => At::Expression,
            },
        }
    }

    fn end_word(&mut self) {
        let is_name = self.last == Last::Dot;
        let is_from = self.word == b"from";
        self.expects = match (self.expects, self.word.as_slice()) {
            (_, b"import") if !is_name => Expects::Import,
            (_, b"export") if !is_name => Expects::Export,
            (Expects::Clause | Expects::From, _) if is_from => Expects::From,
            (Expects::Import | Expects::Clause | Expects::From, _) => Expects::Clause,
            _ => Expects::Nothing,
        };
        let is_keyword = !is_name && KEYWORDS.contains(&self.word.as_slice());
        self.last = if is_keyword { Last::Operator } else { Last::Operand };
    }

    fn end_text(&mut self, mover: Mover<'_>, edits: &mut Vec<Edit>) -> At {
        self.last = Last::Operand;
        if self.expects != Expects::EndOfArgument {
            self.capture.decide(Language::Script, mover, edits);
        }
        At::Base
    }

    fn push(&mut self, byte: u8, mover: Mover<'_>, edits: &mut Vec<Edit>) {
        if self.expects == Expects::EndOfArgument && self.capture.written.len() + 1 >= LONGEST {
            self.expects = Expects::Nothing;
            self.capture.forget();
        }
        self.capture.push(byte, Language::Script, mover, edits);
    }

    fn substitute(&mut self) -> At {
        if self.templates.len() >= MOST_TEMPLATES {
            return self.lose();
        }
        self.templates.push(self.braces);
        (self.last, self.expects) = (Last::Operator, Expects::Nothing);
        At::Base
    }

    fn lose(&mut self) -> At {
        self.capture.forget();
        At::Lost
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte == b'\\' || !byte.is_ascii()
}
