//! What runs, under a name that says what it is: digests and revisions, and how a revision is kept.

use std::io::Read;

use genkan_routing::model::policy::{EntryLimits, FailurePolicy, Mode};
use genkan_routing::quantity;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::content::Content;
use crate::digest::{Digest, canonical, hex_of};
use crate::kind::{Deploy, EntryType};
use crate::refusal::{Reason, Refused};

/// Bytes of one part of a revision that is kept.
pub const PART: usize = 900 << 10;
/// Parts of a revision.
pub const PARTS: usize = 8;
/// Bytes of a revision that is kept.
pub const PACKED: usize = 7 << 20;
/// Bytes of a revision that is read again.
const UNPACKED: u64 = 256 << 20;
/// Of zstd: quick, and small enough for texts.
const LEVEL: i32 = 3;

/// What runs of an entry, and nothing else.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    #[serde(rename = "type")]
    pub kind: EntryType,
    pub content: Content,
    pub mode: Mode,
    pub failure_policy: FailurePolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Value>,
    /// Of a v5 policy: where it can be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catalogs: Vec<String>,
    /// Its bytes come from a Secret: only steps of the extension read its files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_private: bool,
}

/// An entry of a revision.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Revised {
    pub name: String,
    pub digest: Digest,
    pub deploy: Deploy,
    pub running: Running,
}

/// Accepted entries in the order of applying.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Revision {
    /// `NAME-` and eight hex digits.
    pub id: String,
    pub entries: Vec<Revised>,
}

// === impl Running ===

impl Running {
    /// What its steps may use. What cannot be read was refused when it was written.
    pub fn limits(&self) -> EntryLimits {
        let text = |name: &str| self.limits.as_ref()?.get(name)?.as_str();
        let deadline = text("deadline").and_then(quantity::duration);
        EntryLimits {
            deadline_ms: deadline.and_then(|deadline| u64::try_from(deadline.as_millis()).ok()),
            max_body: text("maxBody").and_then(quantity::bytes),
        }
    }

    pub fn digest(&self) -> Digest {
        // Texts, lists and maps with text keys: it always becomes JSON.
        Digest::of(&serde_json::to_value(self).unwrap_or_default())
    }
}

// === impl Revision ===

impl Revision {
    pub fn new(extension: &str, entries: Vec<Revised>) -> Self {
        let mut listed: Vec<_> = entries
            .iter()
            .map(|entry| (&entry.name, &entry.digest, entry.deploy))
            .collect();
        // The order of applying is no part of what it is.
        listed.sort_unstable();
        let hash = hex_of(canonical(&json!(listed)).as_bytes());
        Self {
            id: format!("{extension}-{}", &hash[..8]),
            entries,
        }
    }

    /// Names what of it is deferred; empty where nothing is. Revisions that differ in immediate entries alone have the same.
    pub fn deferred(&self) -> String {
        let deferred = self
            .entries
            .iter()
            .filter(|entry| entry.deploy == Deploy::Deferred);
        let mut listed: Vec<_> = deferred.map(|entry| (&entry.name, &entry.digest)).collect();
        if listed.is_empty() {
            return String::new();
        }
        listed.sort_unstable();
        let hash = hex_of(canonical(&json!(listed)).as_bytes());
        let extension = self.id.rsplit_once('-').map_or("", |(extension, _)| extension);
        format!("{extension}-{}", &hash[..8])
    }

    /// The parts in which it is kept.
    ///
    /// # Errors
    ///
    /// `LimitExceeded`: it is too large.
    pub fn pack(&self) -> Result<Vec<Vec<u8>>, Refused> {
        let exceeded = |message: String| Reason::LimitExceeded.refuse(message);
        let id = &self.id;
        let text = serde_json::to_vec(self).map_err(|error| exceeded(format!("revision {id}: {error}")))?;
        let packed = zstd::encode_all(text.as_slice(), LEVEL)
            .map_err(|error| exceeded(format!("revision {id}: {error}")))?;
        if packed.len() > PACKED {
            let is = packed.len();
            return Err(exceeded(format!(
                "revision {id}: {is} bytes, the limit is {PACKED}"
            )));
        }
        Ok(packed.chunks(PART).map(<[u8]>::to_vec).collect())
    }

    /// A revision from its parts; `None`: they are not those of one.
    pub fn unpack<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut packed = Vec::new();
        for part in parts {
            if packed.len() + part.len() > PART * PARTS {
                return None;
            }
            packed.extend_from_slice(part);
        }
        let reader = zstd::Decoder::new(packed.as_slice()).ok()?;
        let mut text = Vec::new();
        reader.take(UNPACKED).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// The name of the PolicyDefinition that is kept for a policy of an entry.
pub fn definition_name(policy: &str, version: &str) -> String {
    let name = format!("{policy}-v{version}").to_lowercase();
    let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(safe).collect();
    name.trim_start_matches('-').to_owned()
}
