//! Which authorities clients are told of, and since when: a certificate of a new one is used only when everybody can know it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::pair::{certificates, validity};

/// How long clients are told of an authority that is needed no longer: a certificate of it may still be mounted somewhere.
const RETIREMENT: Duration = Duration::from_secs(3600);

/// What a ConfigMap tells of authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pem: String,
    dates: Dates,
}

/// As it is kept in the annotation, by the hash of the certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Dates {
    /// `None`: since before anybody took note.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Since when nothing needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<Timestamp>,
}

// === impl Told ===

impl Told {
    /// `note` is the annotation beside the text. What it does not name was put there by hand; where there is none, the text
    /// is that of an operator that took no notes.
    pub fn read(text: &str, note: Option<&str>) -> Self {
        let notes: Option<BTreeMap<String, Dates>> =
            note.map(|note| serde_json::from_str(note).unwrap_or_default());
        let entry = |pem: String| {
            let dates = match &notes {
                Some(notes) => *notes.get(&digest(&pem)?)?,
                None => Dates::default(),
            };
            certificates(&pem)?;
            Some(Entry { pem, dates })
        };
        Self(blocks(text).filter_map(entry).collect())
    }

    /// Every authority, in PEM.
    pub fn text(&self) -> String {
        self.0.iter().map(|entry| entry.pem.as_str()).collect()
    }

    pub fn note(&self) -> String {
        let notes: BTreeMap<String, Dates> = (self.0.iter())
            .filter_map(|entry| Some((digest(&entry.pem)?, entry.dates)))
            .collect();
        serde_json::to_string(&notes).unwrap_or_default()
    }

    /// Those that clients have been told of for so long.
    pub fn known(&self, now: SystemTime, overlap: Duration) -> String {
        let is_known = |entry: &&Entry| {
            let since = entry.dates.since.map(SystemTime::from);
            since.is_none_or(|since| since + overlap <= now)
        };
        let known = self.0.iter().filter(is_known);
        known.map(|entry| entry.pem.as_str()).collect()
    }

    /// Whether clients know all of these, in PEM.
    pub fn knows(&self, pem: &str, now: SystemTime, overlap: Duration) -> bool {
        let known = self.known(now, overlap);
        let known: Vec<Option<String>> = blocks(&known).map(|pem| digest(&pem)).collect();
        blocks(pem).all(|pem| known.contains(&digest(&pem)))
    }

    /// What clients are to be told of from now on. Each of `needed` is PEM, of one certificate or several.
    #[must_use]
    pub fn keep(&self, needed: &[&str], now: SystemTime) -> Self {
        let Ok(at) = Timestamp::try_from(now) else {
            return self.clone();
        };
        let needed: Vec<String> = needed.iter().flat_map(|pem| blocks(pem)).collect();
        let digests: Vec<String> = needed.iter().filter_map(|pem| digest(pem)).collect();
        let is_needed = |pem: &str| digest(pem).is_some_and(|digest| digests.contains(&digest));
        let mut kept: Vec<Entry> = self.0.clone();
        for entry in &mut kept {
            let dates = &mut entry.dates;
            // A clock that was wrong must not hold anything up for long.
            dates.since = dates.since.map(|since| since.min(at));
            dates.retired = match is_needed(&entry.pem) {
                true => None,
                false => Some(dates.retired.unwrap_or(at)),
            };
        }
        kept.retain(|entry| match entry.dates.retired {
            None => true,
            Some(retired) => !has_ended(&entry.pem, now) && SystemTime::from(retired) + RETIREMENT > now,
        });
        for pem in needed {
            if !kept.iter().any(|entry| digest(&entry.pem) == digest(&pem)) {
                let dates = Dates {
                    since: Some(at),
                    retired: None,
                };
                kept.push(Entry { pem, dates });
            }
        }
        Self(kept)
    }
}

/// The certificates of a text, each with its own end of line.
fn blocks(text: &str) -> impl Iterator<Item = String> {
    const END: &str = "-----END CERTIFICATE-----";
    let pieces = text.split_inclusive(END);
    pieces.filter_map(|piece| {
        let begin = piece.find("-----BEGIN CERTIFICATE-----")?;
        piece.ends_with(END).then(|| format!("{}\n", &piece[begin..]))
    })
}

/// `None` if it is no certificate in PEM.
fn digest(pem: &str) -> Option<String> {
    let all = certificates(pem)?;
    Some(blake3::hash(all.first()?).to_hex()[..16].to_owned())
}

fn has_ended(pem: &str, now: SystemTime) -> bool {
    let until = certificates(pem).and_then(|all| Some(validity(all.first()?)?.1));
    until.is_none_or(|until| until <= now)
}
