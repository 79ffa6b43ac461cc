use std::io::{Result, Write};

use flate2::Compression;
use flate2::write::{DeflateDecoder, GzEncoder, ZlibDecoder, ZlibEncoder};
use http::header::CONTENT_ENCODING;
use pingora_http::ResponseHeader;

use super::members::Members;

/// The compressions of a body that can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
    Deflate,
}

/// Unpacks a body piece by piece.
pub enum Decoder {
    Identity,
    Gzip(Members),
    /// Which of two formats is meant shows in the first byte.
    Unknown,
    Zlib(ZlibDecoder<Vec<u8>>),
    Raw(DeflateDecoder<Vec<u8>>),
}

/// Packs it again; every piece can be unpacked as soon as it arrives.
pub struct Encoder {
    packer: Packer,
    /// Something has been written since anything was taken.
    holds: bool,
}

enum Packer {
    Identity(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zlib(ZlibEncoder<Vec<u8>>),
}

// === impl Coding ===

impl Coding {
    pub fn of(response: &ResponseHeader) -> Option<Self> {
        let mut codings = response.headers.get_all(CONTENT_ENCODING).into_iter();
        let Some(coding) = codings.next() else {
            return Some(Self::Identity);
        };
        if codings.next().is_some() {
            return None;
        }
        match coding.as_bytes().to_ascii_lowercase().trim_ascii() {
            b"" | b"identity" => Some(Self::Identity),
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            _ => None,
        }
    }
}

// === impl Decoder ===

impl Decoder {
    pub fn new(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(Members::new()),
            Coding::Deflate => Self::Unknown,
        }
    }

    pub fn write(&mut self, piece: &[u8], is_end: bool) -> Result<Vec<u8>> {
        if let (Self::Unknown, Some(first)) = (&*self, piece.first()) {
            // 8 in the low half: the method of zlib.
            let is_zlib = first & 0x0f == 8;
            *self = match is_zlib {
                true => Self::Zlib(ZlibDecoder::new(Vec::new())),
                false => Self::Raw(DeflateDecoder::new(Vec::new())),
            };
        }
        match self {
            Self::Identity => Ok(piece.to_vec()),
            Self::Unknown => Ok(Vec::new()),
            Self::Gzip(members) => members.write(piece, is_end),
            Self::Zlib(decoder) => feed(
                decoder,
                piece,
                is_end,
                |decoder| decoder.get_mut(),
                ZlibDecoder::try_finish,
            ),
            Self::Raw(decoder) => feed(
                decoder,
                piece,
                is_end,
                |decoder| decoder.get_mut(),
                DeflateDecoder::try_finish,
            ),
        }
    }
}

fn feed<D: Write>(
    decoder: &mut D,
    mut piece: &[u8],
    is_end: bool,
    output: impl Fn(&mut D) -> &mut Vec<u8>,
    finish: impl Fn(&mut D) -> Result<()>,
) -> Result<Vec<u8>> {
    while !piece.is_empty() {
        match decoder.write(piece)? {
            // Bytes behind the end of the stream.
            0 => break,
            taken => piece = &piece[taken..],
        }
    }
    decoder.flush()?;
    if is_end {
        finish(decoder)?;
    }
    Ok(std::mem::take(output(decoder)))
}

// === impl Encoder ===

impl Encoder {
    pub fn new(coding: Coding) -> Self {
        let level = Compression::fast();
        let packer = match coding {
            Coding::Identity => Packer::Identity(Vec::new()),
            Coding::Gzip => Packer::Gzip(GzEncoder::new(Vec::new(), level)),
            Coding::Deflate => Packer::Zlib(ZlibEncoder::new(Vec::new(), level)),
        };
        Self { packer, holds: false }
    }

    pub fn write(&mut self, plain: &[u8]) -> Result<()> {
        self.holds |= !plain.is_empty();
        match &mut self.packer {
            Packer::Identity(output) => output.write_all(plain),
            Packer::Gzip(encoder) => encoder.write_all(plain),
            Packer::Zlib(encoder) => encoder.write_all(plain),
        }
    }

    /// What has been written since the last time, so that it can be unpacked without what follows.
    pub fn take(&mut self, is_end: bool) -> Result<Vec<u8>> {
        let holds = std::mem::take(&mut self.holds);
        let output = match &mut self.packer {
            Packer::Identity(output) => output,
            Packer::Gzip(encoder) => {
                match is_end {
                    true => encoder.try_finish()?,
                    false if holds => encoder.flush()?,
                    false => {}
                }
                encoder.get_mut()
            }
            Packer::Zlib(encoder) => {
                match is_end {
                    true => encoder.try_finish()?,
                    false if holds => encoder.flush()?,
                    false => {}
                }
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(output))
    }
}

#[cfg(test)]
mod tests {
    use flate2::write::DeflateEncoder;

    use super::*;

    fn pack(encoder: &mut Encoder, plain: &[u8], is_end: bool) -> Vec<u8> {
        encoder.write(plain).unwrap();
        encoder.take(is_end).unwrap()
    }

    fn pass(coding: Coding, packed: &[u8], step: usize) -> Vec<u8> {
        let (mut decoder, mut encoder) = (Decoder::new(coding), Encoder::new(coding));
        let mut again = Vec::new();
        for piece in packed.chunks(step) {
            let plain = decoder.write(piece, false).unwrap();
            again.extend(pack(&mut encoder, &plain, false));
        }
        let plain = decoder.write(b"", true).unwrap();
        again.extend(pack(&mut encoder, &plain, true));
        let mut check = Decoder::new(coding);
        check.write(&again, true).unwrap()
    }

    #[test]
    fn bodies_survive_in_pieces_of_any_size() {
        let body: Vec<u8> = (0..20_000u32).flat_map(|n| n.to_le_bytes()).collect();
        let gzip = pack(&mut Encoder::new(Coding::Gzip), &body, true);
        let zlib = pack(&mut Encoder::new(Coding::Deflate), &body, true);
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&body).unwrap();
        let raw = raw.finish().unwrap();
        for step in [1, 7, 4_096, usize::MAX] {
            assert_eq!(pass(Coding::Identity, &body, step), body);
            assert_eq!(pass(Coding::Gzip, &gzip, step), body);
            assert_eq!(pass(Coding::Deflate, &zlib, step), body);
            assert_eq!(pass(Coding::Deflate, &raw, step), body);
        }
    }

    #[test]
    fn broken_bodies_are_refused_and_nothing_is_made_of_nothing() {
        assert!(Decoder::new(Coding::Gzip).write(b"no gzip at all", true).is_err());
        for coding in [Coding::Identity, Coding::Gzip, Coding::Deflate] {
            assert!(Encoder::new(coding).take(false).unwrap().is_empty());
        }
    }
}
