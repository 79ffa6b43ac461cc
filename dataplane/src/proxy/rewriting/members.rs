use std::io::{Result, Write};

use flate2::write::GzDecoder;

/// Unpacks what gzip made, one member after another. What stands behind the last one, as padding for instance, is nothing.
pub struct Members {
    decoder: GzDecoder<Vec<u8>>,
    /// Of the member that is read now nothing has been seen.
    is_fresh: bool,
    /// A member before it was whole.
    has_whole: bool,
    is_over: bool,
}

const FIRST_BYTE: u8 = 0x1f;

// === impl Members ===

impl Members {
    pub fn new() -> Self {
        Self {
            decoder: GzDecoder::new(Vec::new()),
            is_fresh: true,
            has_whole: false,
            is_over: false,
        }
    }

    pub fn write(&mut self, mut piece: &[u8], is_end: bool) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        while let (Some(&first), false) = (piece.first(), self.is_over) {
            if self.is_fresh && self.has_whole && first != FIRST_BYTE {
                self.is_over = true;
                break;
            }
            let had_header = self.decoder.header().is_some();
            match self.decoder.write(piece) {
                // The header ended with the byte before.
                Ok(0) if !had_header && self.decoder.header().is_some() => {}
                Ok(0) => {
                    self.decoder.try_finish()?;
                    plain.append(self.decoder.get_mut());
                    self.decoder = GzDecoder::new(Vec::new());
                    (self.is_fresh, self.has_whole) = (true, true);
                }
                Ok(taken) => {
                    self.is_fresh = false;
                    piece = &piece[taken..];
                }
                // It only looked like another member.
                Err(_) if self.has_whole && self.decoder.header().is_none() => self.is_over = true,
                Err(error) => return Err(error),
            }
        }
        if self.is_over {
            return Ok(plain);
        }
        if !self.is_fresh {
            self.decoder.flush()?;
            let is_member = !self.has_whole || self.decoder.header().is_some();
            if is_end && is_member {
                self.decoder.try_finish()?;
            }
        }
        plain.append(self.decoder.get_mut());
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn pack(plain: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(packed: &[u8], step: usize) -> Result<String> {
        let mut members = Members::new();
        let mut plain = Vec::new();
        for piece in packed.chunks(step) {
            plain.extend(members.write(piece, false)?);
        }
        plain.extend(members.write(b"", true)?);
        Ok(String::from_utf8(plain).unwrap())
    }

    #[test]
    fn members_follow_one_another_and_padding_is_nothing() {
        let (one, two) = (pack("one "), pack("two"));
        for (packed, plain) in [
            (one.clone(), "one "),
            ([&*one, &*two].concat(), "one two"),
            ([&*one, &*two, &[0; 512]].concat(), "one two"),
            ([&*one, b"\x1fgarbage"].concat(), "one "),
            ([&*one, &*pack(""), &*two].concat(), "one two"),
            (Vec::new(), ""),
        ] {
            for step in [1, 7, usize::MAX] {
                assert_eq!(unpack(&packed, step).unwrap(), plain, "by {step}");
            }
        }
    }

    #[test]
    fn what_is_broken_or_not_whole_is_an_error() {
        let one = pack("one ");
        let mut broken = one.clone();
        let at = broken.len() - 6;
        broken[at] ^= 1;
        for packed in [
            &one[..one.len() - 1],
            &one[..12],
            &one[..5],
            b"no gzip at all",
            &broken,
        ] {
            for step in [1, usize::MAX] {
                assert!(unpack(packed, step).is_err(), "{packed:?}");
            }
        }
    }
}
