use genkan_extensions::archive::{self, Member};
use genkan_extensions::{Layout, Limits, Refused, manifest};
use serde_json::{Value, json};

use crate::case::{Case, Outcome, compare, parsed, refused, texts};

pub fn claims(case: &Case) -> Outcome {
    let got = match listing(&case.input) {
        Ok(listing) => json!({"files": listing.files, "dropped": listing.dropped}),
        Err(error) => refused(&error),
    };
    compare(case, &got)
}

fn listing(input: &Value) -> Result<archive::Listing, Refused> {
    let mut limits = Limits::default();
    for (name, value) in input["limits"].as_object().into_iter().flatten() {
        let value = value.as_u64().unwrap();
        match name.as_str() {
            "packed" | "archive" | "bytes" => limits.packed = value,
            "unpacked" | "total" => limits.unpacked = value,
            "file" => limits.file = value,
            "files" => limits.files = value as usize,
            "path" => limits.path = value as usize,
            "ratio" => limits.ratio = value,
            "depth" => limits.depth = value as usize,
            other => panic!("limit {other} is unknown"),
        }
    }
    let sum = |side: &str| input["sha256"][side].as_str();
    let bytes = input["bytes"].as_u64().unwrap_or(1);
    archive::weigh(bytes, sum("got").unwrap_or_default(), sum("want"), &limits)?;
    if input["notZip"] == true {
        return archive::Archive::open(b"nothing", None, &limits).map(|_| archive::Listing::default());
    }
    let members = input["members"].as_array().unwrap();
    let members: Vec<_> = members.iter().map(member).collect();
    archive::judge(&members, &limits)
}

fn member(member: &Value) -> Member {
    let flags = texts(&member["flags"]);
    let has = |flag: &str| flags.iter().any(|is| is == flag);
    let size = member["size"].as_u64().unwrap_or_default();
    Member {
        path: (!has("not-utf8")).then(|| member["path"].as_str().unwrap_or_default().to_owned()),
        size,
        packed: member["packed"].as_u64().unwrap_or(size),
        method: member["method"].as_u64().unwrap_or(8) as u16,
        encrypted: has("encrypted"),
        symlink: has("symlink"),
        within: texts(&member["in"]),
    }
}

pub fn manifest(case: &Case) -> Outcome {
    let input = &case.input;
    let files = texts(&input["files"]);
    let layout: Layout = input.get("layout").map(parsed).unwrap_or_default();
    let text = input["manifest"].as_str().map(str::as_bytes);
    let files = files.iter().map(String::as_str);
    let mut got = match manifest::read(text, files, layout, &Limits::default()) {
        Ok(manifest) => serde_json::to_value(manifest).unwrap(),
        Err(error) => refused(&error),
    };
    let mut case = case.clone();
    for side in [&mut got, &mut case.expect] {
        if let Some(warnings) = side.get_mut("warnings") {
            let mut sorted = texts(warnings);
            sorted.sort_unstable();
            *warnings = json!(sorted);
        }
    }
    compare(&case, &got)
}
