use bytes::{Buf, BufMut, Bytes};
use genkan_proto::{Hash, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};

use super::Update;

/// In front of everything; another form of the file has another number.
pub(super) const FORMAT: &[u8] = b"genkan configuration, format 1\n";

/// The first record: what the others are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub operator: String,
    pub protocol: u32,
}

/// Any other record. The times are seconds since 1970.
#[derive(Debug)]
pub(super) enum Record {
    Update {
        at: u64,
        update: Update,
    },
    /// Nothing had changed by then.
    Confirmed {
        at: u64,
    },
}

const EVERYTHING: u8 = 1;
const CHANGE: u8 = 2;
const CONFIRMED: u8 = 3;

const DIGEST: usize = blake3::OUT_LEN;
/// Length and digest of a record.
pub(super) const FRAMING: usize = size_of::<u32>() + DIGEST;

/// The next framed record.
pub(super) enum Next {
    Record(Bytes),
    /// The file ends here.
    End,
    /// The file ends within it: the process ended while it wrote.
    Torn,
    Broken,
}

// === impl Origin ===

impl Origin {
    pub fn of(operator: &str) -> Self {
        Self {
            operator: operator.to_owned(),
            protocol: PROTOCOL_VERSION,
        }
    }
}

// === impl Record ===

impl Record {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Update { at, update } => {
                bytes.put_u8(if update.base.is_some() { CHANGE } else { EVERYTHING });
                bytes.put_u64_le(*at);
                if let Some(base) = update.base {
                    bytes.put_slice(&base.0);
                }
                bytes.put_slice(&update.hash.0);
                bytes.put_slice(&update.frame);
            }
            Self::Confirmed { at } => {
                bytes.put_u8(CONFIRMED);
                bytes.put_u64_le(*at);
            }
        }
        bytes
    }

    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let kind = bytes.try_get_u8().ok()?;
        let at = bytes.try_get_u64_le().ok()?;
        let mut hash = || {
            let hash = Hash::read(bytes.get(..DIGEST)?)?;
            bytes.advance(DIGEST);
            Some(hash)
        };
        let (base, hash) = match kind {
            EVERYTHING => (None, hash()?),
            CHANGE => (Some(hash()?), hash()?),
            CONFIRMED => return Some(Self::Confirmed { at }),
            _ => return None,
        };
        let update = Update {
            base,
            hash,
            frame: bytes,
        };
        Some(Self::Update { at, update })
    }
}

pub(super) fn frame(into: &mut Vec<u8>, payload: &[u8]) {
    // Longer ones are not made: the frame of a snapshot has a limit.
    into.put_u32_le(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    into.put_slice(blake3::hash(payload).as_bytes());
    into.put_slice(payload);
}

pub(super) fn next(rest: &mut Bytes) -> Next {
    if rest.is_empty() {
        return Next::End;
    }
    if rest.len() < FRAMING {
        return Next::Torn;
    }
    let length = rest.get_u32_le() as usize;
    let digest = rest.split_to(DIGEST);
    if rest.len() < length {
        return Next::Torn;
    }
    let payload = rest.split_to(length);
    match blake3::hash(&payload).as_bytes() == &digest[..] {
        true => Next::Record(payload),
        false => Next::Broken,
    }
}
