use genkan_extensions::archive::Archive;
use genkan_extensions::digest::hex_of;
use genkan_extensions::{Limits, Options, Reason, Refused, read};

use crate::zip::zip;

fn file(path: &str, content: &[u8]) -> (String, Vec<u8>) {
    (path.to_owned(), content.to_vec())
}

fn refused(bytes: &[u8]) -> Refused {
    Archive::open(bytes, None, &Limits::default()).unwrap_err()
}

#[test]
fn zips_inside_zips_are_read_to_the_third_level() {
    let innermost = zip(&[file("export.xml", b"<x/>"), file("local/.DS_Store", b"x")]);
    let inner = zip(&[file("./p.yaml", b"a"), file("implementation/i.zip", &innermost)]);
    let bytes = zip(&[
        file("x.zip", &inner),
        file("none.zip", b"PK?"),
        file("folder/", b""),
    ]);
    let archive = Archive::open(&bytes, None, &Limits::default()).unwrap();
    let files: Vec<_> = archive.files().collect();
    let expected = [
        "x.zip",
        "none.zip",
        "x.zip!p.yaml",
        "x.zip!implementation/i.zip",
        "x.zip!implementation/i.zip!export.xml",
    ];
    assert_eq!(files, expected);
    assert_eq!(archive.dropped(), ["x.zip!implementation/i.zip!local/.DS_Store"]);
    let view = archive.view("");
    assert!(view.inside("none.zip").is_none());
    let inside = view.inside("x.zip").unwrap();
    assert_eq!(inside.get("p.yaml"), Some(&b"a"[..]));
    let innermost = inside.inside("implementation/i.zip").unwrap();
    assert_eq!(innermost.get("export.xml"), Some(&b"<x/>"[..]));
    assert_eq!(innermost.shown("a"), "x.zip!implementation/i.zip!a");
}

#[test]
fn a_fourth_level_is_refused_whatever_is_in_it() {
    let mut bytes = zip(&[file("a.js", b"1")]);
    for name in ["c.zip", "b.zip", "a.zip"] {
        bytes = zip(&[file(name, &bytes)]);
    }
    let message = "archive: a.zip!b.zip!c.zip!a.js: zips are nested deeper than 3";
    assert_eq!(refused(&bytes).message, message);
}

#[test]
fn a_name_with_the_sign_of_nesting_is_no_way_into_another_zip() {
    let inner = zip(&[file("p.yaml", b"inner")]);
    let bytes = zip(&[file("x.zip!p.yaml", b"outer"), file("x.zip", &inner)]);
    let archive = Archive::open(&bytes, None, &Limits::default()).unwrap();
    let view = archive.view("");
    assert_eq!(view.get("x.zip!p.yaml"), Some(&b"outer"[..]));
    assert_eq!(view.inside("x.zip").unwrap().get("p.yaml"), Some(&b"inner"[..]));
}

#[test]
fn what_a_directory_claims_must_be_so() {
    let good = zip(&[file("a", b"stored"), file("b", &[7; 5_000])]);
    let central = |bytes: &[u8], nth: usize| {
        let mut found = bytes.windows(4).enumerate();
        let mut found = found.by_ref().filter(|(_, four)| *four == b"PK\x01\x02");
        found.nth(nth).unwrap().0
    };
    let with = |nth: usize, at: usize, bytes: [u8; 2]| {
        let mut changed = good.clone();
        let record = central(&good, nth);
        changed[record + at..record + at + 2].copy_from_slice(&bytes);
        refused(&changed).message
    };
    let size = "it has another size than the directory says";
    assert_eq!(with(1, 24, [1, 0]), format!("archive: b: {size}"));
    assert_eq!(with(1, 24, [0, 0x80]), format!("archive: b: {size}"));
    let sum = "archive: a: it has another checksum than the directory says";
    assert_eq!(with(0, 16, [1, 2]), sum);
    assert_eq!(with(0, 8, [1, 0]), "archive: a: it is encrypted");
    assert_eq!(
        with(0, 10, [12, 0]),
        "archive: a: compression method 12 is not supported"
    );
    assert_eq!(with(0, 40, [0xff, 0xa1]), "archive: a: a symbolic link");
    assert_eq!(with(1, 42, [0xff, 0xff]), "archive: b: it is cut off");
    assert_eq!(with(1, 10, [0, 0]), format!("archive: b: {size}"));
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = vec![0_u8; 8 << 20];
    let bytes = zip(&[file("a", b""), file("bomb.txt", &bomb)]);
    assert_eq!(
        refused(&bytes).message,
        "archive: bomb.txt: packed more than 100 to 1"
    );
    let many: Vec<_> = (0..2_001).map(|index| file(&format!("{index}"), b"")).collect();
    assert_eq!(
        refused(&zip(&many)).message,
        "archive: 2001 files, the limit is 2000"
    );
}

#[test]
fn the_files_of_all_zips_are_counted_together() {
    let inner = zip(&[file("a", b"1"), file("b", b"2")]);
    let bytes = zip(&[file("x.zip", &inner), file("y.zip", &inner)]);
    let limits = Limits {
        files: 5,
        ..Limits::default()
    };
    let error = Archive::open(&bytes, None, &limits).unwrap_err();
    assert_eq!(error.message, "archive: 6 files, the limit is 5");
}

#[test]
fn the_sum_is_that_of_the_bytes() {
    let bytes = zip(&[file("manifest.json", br#"{"extension": {}}"#)]);
    let mut options = Options {
        sha256: Some(hex_of(&bytes).to_uppercase()),
        ..Options::default()
    };
    assert!(read(&bytes, &options).is_ok());
    options.sha256 = Some("0".repeat(64));
    assert_eq!(read(&bytes, &options).unwrap_err().reason, Reason::DigestMismatch);
    options.limits.packed = 10;
    let error = read(&bytes, &options).unwrap_err();
    assert_eq!(
        error.message,
        format!("archive: {} bytes, the limit is 10", bytes.len())
    );
}

#[test]
fn limits_are_raised_to_their_ceilings_and_no_further() {
    assert!(Limits::CEILING.check().is_ok() && Limits::default().check().is_ok());
    let limits = Limits {
        packed: (64 << 20) + 1,
        ..Limits::default()
    };
    let error = limits.check().unwrap_err();
    assert_eq!(error.reason, Reason::LimitExceeded);
    assert_eq!(
        error.message,
        "limits.packed: 67108865 is above the ceiling 67108864"
    );
}
