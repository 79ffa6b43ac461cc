//! Zips, as small as they can be.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// Files by path, in this order; every second is deflated.
pub fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (index, (path, content)) in files.iter().enumerate() {
        let method: u16 = if index % 2 == 1 { 8 } else { 0 };
        let packed = if method == 8 {
            deflated(content)
        } else {
            content.clone()
        };
        let mut crc = flate2::Crc::new();
        crc.update(content);
        // Version, flags, method, time, date, sum, sizes, and the lengths of the texts.
        let mut head = Vec::new();
        head.extend(20_u16.to_le_bytes());
        head.extend(0_u16.to_le_bytes());
        head.extend(method.to_le_bytes());
        head.extend(0_u32.to_le_bytes());
        head.extend(crc.sum().to_le_bytes());
        head.extend((packed.len() as u32).to_le_bytes());
        head.extend((content.len() as u32).to_le_bytes());
        head.extend((path.len() as u16).to_le_bytes());
        head.extend(0_u16.to_le_bytes());
        let at = bytes.len() as u32;
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&head);
        bytes.extend(path.as_bytes());
        bytes.extend(&packed);
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&head);
        // Comment, disk, attributes.
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(path.as_bytes());
    }
    let at = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend((files.len() as u16).to_le_bytes());
    bytes.extend((files.len() as u16).to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
