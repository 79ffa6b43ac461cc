use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;

/// An address as [`Display`](std::fmt::Display) shows it, made without the formatter where it is one of IPv4: that takes
/// ten times as long.
#[derive(Clone, Copy, Debug)]
pub struct AddressText {
    bytes: [u8; LONGEST],
    length: usize,
}

/// An address of IPv6 with its scope and port has at most 58.
const LONGEST: usize = 64;

/// Every octet as it is written, and how many digits it has.
static OCTETS: [([u8; 3], u8); 256] = octets();

const fn octets() -> [([u8; 3], u8); 256] {
    let mut octets = [([b'0'; 3], 1); 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [
            b'0' + (octet / 100) as u8,
            b'0' + (octet / 10 % 10) as u8,
            b'0' + (octet % 10) as u8,
        ];
        octets[octet] = match octet {
            100.. => (digits, 3),
            10.. => ([digits[1], digits[2], b'0'], 2),
            _ => ([digits[2], b'0', b'0'], 1),
        };
        octet += 1;
    }
    octets
}

// === impl AddressText ===

impl AddressText {
    const EMPTY: Self = Self {
        bytes: [0; LONGEST],
        length: 0,
    };

    pub fn of_ip(ip: IpAddr) -> Self {
        let mut text = Self::EMPTY;
        match ip {
            IpAddr::V4(ip) => text.push_ip(ip),
            // It fits, so there is nothing to fail.
            IpAddr::V6(ip) => write!(text, "{ip}").unwrap_or_default(),
        }
        text
    }

    fn push_ip(&mut self, ip: Ipv4Addr) {
        for (at, octet) in ip.octets().into_iter().enumerate() {
            if at > 0 {
                self.push(b'.');
            }
            let (digits, count) = OCTETS[usize::from(octet)];
            self.bytes[self.length..self.length + 3].copy_from_slice(&digits);
            self.length += usize::from(count);
        }
    }

    /// The same in bytes, which need no check.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn push_port(&mut self, mut port: u16) {
        let mut digits = [b'0'; 5];
        let mut at = digits.len();
        while at == digits.len() || port > 0 {
            at -= 1;
            digits[at] = b'0' + (port % 10) as u8;
            port /= 10;
        }
        let digits = &digits[at..];
        self.bytes[self.length..self.length + digits.len()].copy_from_slice(digits);
        self.length += digits.len();
    }
}

impl From<SocketAddr> for AddressText {
    fn from(address: SocketAddr) -> Self {
        let mut text = Self::EMPTY;
        match address {
            SocketAddr::V4(address) => {
                text.push_ip(*address.ip());
                text.push(b':');
                text.push_port(address.port());
            }
            SocketAddr::V6(address) => write!(text, "{address}").unwrap_or_default(),
        }
        text
    }
}

impl Deref for AddressText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let free = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        free.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_look_as_they_do_elsewhere() {
        for ip in [
            "0.0.0.0",
            "127.0.0.1",
            "255.255.255.255",
            "10.1.20.100",
            "::1",
            "2001:db8::",
            "::ffff:255.255.255.255",
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(AddressText::of_ip(ip).to_string(), ip.to_string());
            for port in [0, 9, 10, 80, 443, 8_080, 65_535] {
                let address = SocketAddr::new(ip, port);
                assert_eq!(*AddressText::from(address), *address.to_string());
            }
        }
        let longest = "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535";
        let address: SocketAddr = longest.parse().unwrap();
        assert_eq!(&*AddressText::from(address), longest);
    }
}
