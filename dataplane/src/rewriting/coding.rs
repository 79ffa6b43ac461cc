use std::io::{Error, ErrorKind, Result, Write};

use flate2::Compression;
use flate2::write::{DeflateDecoder, GzEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder};
use http::header::CONTENT_ENCODING;
use pingora_http::ResponseHeader;

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
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// Which of two formats is meant shows in the first byte.
    Unknown,
    Zlib(ZlibDecoder<Vec<u8>>),
    Raw(DeflateDecoder<Vec<u8>>),
}

/// Packs it again; every piece can be unpacked as soon as it arrives.
pub enum Encoder {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    Zlib(ZlibEncoder<Vec<u8>>),
}

/// A piece may unpack to so much at most, and grow to so much by its links: more is an attack.
pub const MOST: usize = 8 << 20;

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
            Coding::Gzip => Self::Gzip(MultiGzDecoder::new(Vec::new())),
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
            Self::Gzip(decoder) => feed(
                decoder,
                piece,
                is_end,
                |decoder| decoder.get_mut(),
                MultiGzDecoder::try_finish,
            ),
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
        if output(decoder).len() > MOST {
            return Err(Error::new(
                ErrorKind::FileTooLarge,
                "it unpacks to far more than it is",
            ));
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
        match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), level)),
            Coding::Deflate => Self::Zlib(ZlibEncoder::new(Vec::new(), level)),
        }
    }

    pub fn write(&mut self, piece: &[u8], is_end: bool) -> Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(piece.to_vec()),
            Self::Gzip(encoder) => pack(
                encoder,
                piece,
                is_end,
                |encoder| encoder.get_mut(),
                GzEncoder::try_finish,
            ),
            Self::Zlib(encoder) => pack(
                encoder,
                piece,
                is_end,
                |encoder| encoder.get_mut(),
                ZlibEncoder::try_finish,
            ),
        }
    }
}

fn pack<E: Write>(
    encoder: &mut E,
    piece: &[u8],
    is_end: bool,
    output: impl Fn(&mut E) -> &mut Vec<u8>,
    finish: impl Fn(&mut E) -> Result<()>,
) -> Result<Vec<u8>> {
    if !piece.is_empty() {
        encoder.write_all(piece)?;
        encoder.flush()?;
    }
    if is_end {
        finish(encoder)?;
    }
    Ok(std::mem::take(output(encoder)))
}

#[cfg(test)]
mod tests {
    use flate2::write::DeflateEncoder;

    use super::*;

    fn pass(coding: Coding, packed: &[u8], step: usize) -> Vec<u8> {
        let (mut decoder, mut encoder) = (Decoder::new(coding), Encoder::new(coding));
        let mut again = Vec::new();
        for piece in packed.chunks(step) {
            let plain = decoder.write(piece, false).unwrap();
            again.extend(encoder.write(&plain, false).unwrap());
        }
        let plain = decoder.write(b"", true).unwrap();
        again.extend(encoder.write(&plain, true).unwrap());
        let mut check = Decoder::new(coding);
        check.write(&again, true).unwrap()
    }

    #[test]
    fn bodies_survive_in_pieces_of_any_size() {
        let body: Vec<u8> = (0..20_000u32).flat_map(|n| n.to_le_bytes()).collect();
        let gzip = Encoder::new(Coding::Gzip).write(&body, true).unwrap();
        let zlib = Encoder::new(Coding::Deflate).write(&body, true).unwrap();
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
    fn broken_and_explosive_bodies_are_refused() {
        assert!(Decoder::new(Coding::Gzip).write(b"no gzip at all", true).is_err());
        let bomb = Encoder::new(Coding::Gzip)
            .write(&vec![0; MOST + (1 << 20)], true)
            .unwrap();
        assert!(Decoder::new(Coding::Gzip).write(&bomb, true).is_err());
    }
}
