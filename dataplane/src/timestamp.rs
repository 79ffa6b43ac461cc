use std::cell::Cell;
use std::ops::Deref;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day in UTC, as log lines show it: `2026-01-31T23:59:59.123456Z`.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp([u8; 27]);

thread_local! {
    /// The second of the last one, and how it is written: dates change seldom.
    static LAST: Cell<(u64, [u8; 27])> = const { Cell::new((u64::MAX, [b'0'; 27])) };
}

// === impl Timestamp ===

impl Timestamp {
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(since.as_secs(), since.subsec_micros())
    }

    /// `seconds` since 1970.
    pub fn of(seconds: u64) -> Self {
        Self::at(seconds, 0)
    }

    /// `seconds` since 1970, and millionths of one.
    fn at(seconds: u64, micros: u32) -> Self {
        let (last, mut text) = LAST.get();
        if last != seconds {
            text = date(seconds);
            LAST.set((seconds, text));
        }
        let mut rest = micros;
        for digit in text[20..26].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        Self(text)
    }
}

impl Deref for Timestamp {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn date(seconds: u64) -> [u8; 27] {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let written = time
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        .to_string();
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    if written.len() == text.len() {
        text.copy_from_slice(written.as_bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_has_its_date_and_every_instant_its_fraction() {
        for (seconds, micros, written) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (0, 999_999, "1970-01-01T00:00:00.999999Z"),
            (1_709_164_799, 42, "2024-02-28T23:59:59.000042Z"),
            (1_709_164_800, 1, "2024-02-29T00:00:00.000001Z"),
        ] {
            assert_eq!(&*Timestamp::at(seconds, micros), written);
        }
        assert!(*Timestamp::now() > *"2025");
    }
}
