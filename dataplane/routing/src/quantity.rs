//! Lengths of time and numbers of bytes, as people write them.

use std::time::Duration;

/// `250ms`, `30s`, `1m30s`, `1.5h`, `2d`; three digits behind the point are read. `None`: it is none.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(ends(rest, |byte| byte.is_ascii_digit() || byte == b'.'));
        let (unit, behind) = behind.split_at(ends(behind, |byte| byte.is_ascii_alphabetic()));
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        if part.is_empty() || part.len() > 3 {
            return None;
        }
        let thousandths: u64 = format!("{part:0<3}").parse().ok()?;
        let whole = whole.parse::<u64>().ok()?.checked_mul(millis)?;
        let micros = thousandths * millis;
        let one = Duration::from_millis(whole).checked_add(Duration::from_micros(micros))?;
        total = total.checked_add(one)?;
        rest = behind;
    }
    Some(total)
}

/// `1048576`, `1024Ki`, `1Mi`, `1Gi`. `None`: it is none.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(ends(text, |byte| byte.is_ascii_digit()));
    let unit: u64 = match unit {
        "" => 1,
        "Ki" | "KiB" => 1 << 10,
        "Mi" | "MiB" => 1 << 20,
        "Gi" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Where such bytes end.
fn ends(text: &str, is_such: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !is_such(byte)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            ("0.25s", Some(250)),
            ("2d", Some(172_800_000)),
            ("0s", Some(0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("1 s", None),
            ("1.s", None),
            ("1.2.3s", None),
            ("1.2345s", None),
            ("99999999999999999999s", None),
            ("1é", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn numbers_of_bytes_have_binary_units() {
        for (text, expected) in [
            ("1024", Some(1024)),
            ("64Ki", Some(65_536)),
            ("1MiB", Some(1 << 20)),
            ("1Gi", Some(1 << 30)),
            ("1M", None),
            ("", None),
            ("-1", None),
            ("18446744073709551615Ki", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
