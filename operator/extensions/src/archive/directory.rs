//! The central directory of a zip, and its members.

use std::io::Read;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::claims::{Member, trimmed};

const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";

/// Bytes of the record at the end without its comment.
const END_BYTES: usize = 22;
/// Of a record of the directory without its texts.
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
/// A number that stands in the extra field for 64 bits.
const ELSEWHERE: u64 = u32::MAX as u64;

/// A member, and where it stands.
#[derive(Debug)]
pub(super) struct Found {
    path: Option<String>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    attributes: u32,
    at: u64,
}

/// The members of a zip in the order of its directory; `None`: it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Found>> {
    let (count, start) = end(bytes)?;
    let mut at = start;
    // A directory of more members than there is room for says nothing about memory.
    let mut found = Vec::new();
    for _ in 0..count {
        let (member, next) = central(bytes, at)?;
        found.push(member);
        at = next;
    }
    Some(found)
}

/// Number of members, and where the directory begins.
fn end(bytes: &[u8]) -> Option<(u64, usize)> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let at = (first..=last).rev().find(|at| {
        let comment = number(bytes, at + 20, 2);
        bytes[*at..].starts_with(&END) && comment == Some((last - at) as u64)
    })?;
    let count = number(bytes, at + 10, 2)?;
    let start = number(bytes, at + 16, 4)?;
    let is_small = count != u64::from(u16::MAX) && start != ELSEWHERE;
    let locator = at.checked_sub(20);
    match locator.filter(|at| bytes[*at..].starts_with(&LOCATOR_64)) {
        Some(locator) if !is_small => {
            let at = usize::try_from(number(bytes, locator + 8, 8)?).ok()?;
            if !bytes.get(at..)?.starts_with(&END_64) {
                return None;
            }
            let start = number(bytes, at.checked_add(48)?, 8)?;
            Some((
                number(bytes, at.checked_add(32)?, 8)?,
                usize::try_from(start).ok()?,
            ))
        }
        Some(_) | None => Some((count, usize::try_from(start).ok()?)),
    }
}

/// One record of the directory, and where the next begins.
fn central(bytes: &[u8], at: usize) -> Option<(Found, usize)> {
    let record = bytes.get(at..at.checked_add(CENTRAL_BYTES)?)?;
    if !record.starts_with(&CENTRAL) {
        return None;
    }
    let short = |at| number(record, at, 2).map(|number| number as u16);
    let long = |at| number(record, at, 4);
    let name_ends = CENTRAL_BYTES + usize::from(short(28)?);
    let extra_ends = name_ends + usize::from(short(30)?);
    let ends = extra_ends + usize::from(short(32)?);
    let whole = bytes.get(at..at.checked_add(ends)?)?;
    let mut found = Found {
        path: String::from_utf8(whole[CENTRAL_BYTES..name_ends].to_vec()).ok(),
        flags: short(8)?,
        method: short(10)?,
        crc: long(16)? as u32,
        packed: long(20)?,
        size: long(24)?,
        attributes: long(38)? as u32,
        at: long(42)?,
    };
    found.widen(&whole[name_ends..extra_ends])?;
    Some((found, at + ends))
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

// === impl Found ===

impl Found {
    pub fn path(&self) -> &str {
        trimmed(self.path.as_deref().unwrap_or_default())
    }

    pub fn member(&self, within: &[String]) -> Member {
        Member {
            path: self.path.clone(),
            size: self.size,
            packed: self.packed,
            method: self.method,
            encrypted: self.flags & 1 != 0,
            symlink: (self.attributes >> 16) & 0xf000 == 0xa000,
            within: within.to_vec(),
        }
    }

    /// Numbers of 64 bits, each only where the short one says so.
    fn widen(&mut self, mut extra: &[u8]) -> Option<()> {
        while extra.len() >= 4 {
            let (kind, length) = (number(extra, 0, 2)?, number(extra, 2, 2)? as usize);
            let field = extra.get(4..4 + length)?;
            if kind == 1 {
                let mut at = 0;
                for short in [&mut self.size, &mut self.packed, &mut self.at] {
                    if *short == ELSEWHERE {
                        *short = number(field, at, 8)?;
                        at += 8;
                    }
                }
            }
            extra = &extra[4 + length..];
        }
        Some(())
    }

    /// The content; no more than its claimed size is ever unpacked.
    pub fn unpack(&self, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let packed = self.packed_bytes(bytes).ok_or("it is cut off")?;
        let content = if self.method == 0 {
            packed.to_vec()
        } else {
            let mut content = Vec::new();
            let mut reader = DeflateDecoder::new(packed).take(self.size.saturating_add(1));
            reader
                .read_to_end(&mut content)
                .map_err(|_| "it cannot be unpacked")?;
            content
        };
        if content.len() as u64 != self.size {
            return Err("it has another size than the directory says");
        }
        let mut crc = Crc::new();
        crc.update(&content);
        if crc.sum() != self.crc {
            return Err("it has another checksum than the directory says");
        }
        Ok(content)
    }

    fn packed_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let local = bytes.get(usize::try_from(self.at).ok()?..)?;
        if !local.starts_with(&LOCAL) {
            return None;
        }
        let texts = number(local, 26, 2)? + number(local, 28, 2)?;
        let content = local.get(LOCAL_BYTES + texts as usize..)?;
        content.get(..usize::try_from(self.packed).ok()?)
    }
}
