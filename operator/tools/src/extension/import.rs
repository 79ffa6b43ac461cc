//! `genkan extension import`: a zip as objects that can be applied.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use genkan_compile::named::is_subdomain;
use genkan_extensions::{Limits, Options, Package, read};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 the objects are printed, 2 the zip cannot be used")]
pub(super) struct Args {
    /// The zip
    #[arg(value_name = "ZIP")]
    zip: PathBuf,
    /// Name of the GatewayExtension, and of the ConfigMaps [default: that of the zip]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Namespace of the ConfigMaps
    #[arg(long, default_value = "genkan-system", value_name = "NAMESPACE")]
    namespace: String,
    /// Bytes of the zip that one ConfigMap holds, at most
    #[arg(long, default_value_t = LARGEST_PART, value_name = "BYTES")]
    chunk: usize,
}

/// What a ConfigMap holds without coming near the limit of an API server.
const LARGEST_PART: usize = 900 << 10;
/// Parts of a source.
const MOST_PARTS: usize = 8;

/// Prints the objects; what is to be said of the zip goes to standard error.
///
/// # Errors
/// When the zip is not good as such.
pub(super) fn run(args: &Args) -> Result<()> {
    let shown = args.zip.display();
    let bytes = std::fs::read(&args.zip).with_context(|| format!("{shown} cannot be read"))?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(&args.zip),
    };
    if !is_subdomain(&name) {
        bail!("{name:?} is no name of an object; say --name with lower-case letters, digits, - and .");
    }
    let options = Options {
        limits: Limits::default(),
        ..Options::default()
    };
    let package = read(&bytes, &options).map_err(|refused| anyhow!("{shown}: {}", refused.message))?;
    tell(&package);
    for object in objects(&name, &args.namespace, args.chunk, &bytes)? {
        println!("---\n{}", serde_yaml::to_string(&object)?.trim_end());
    }
    Ok(())
}

fn name_of(zip: &Path) -> String {
    let stem = zip.file_stem().unwrap_or_default().to_string_lossy();
    let words = stem.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}

fn tell(package: &Package) {
    for warning in &package.warnings {
        eprintln!("genkan: {warning}");
    }
    for entry in &package.entries {
        if let Err(refused) = &entry.outcome {
            eprintln!(
                "genkan: entry {} would be Rejected, {}: {}",
                entry.name,
                refused.reason.as_str(),
                refused.message
            );
        }
    }
}

/// ConfigMaps in the order of their parts, and then the GatewayExtension.
fn objects(name: &str, namespace: &str, chunk: usize, bytes: &[u8]) -> Result<Vec<Value>> {
    if chunk == 0 || chunk > LARGEST_PART {
        bail!("--chunk {chunk}: 1 to {LARGEST_PART} bytes fit into a ConfigMap");
    }
    let parts: Vec<&[u8]> = bytes.chunks(chunk).collect();
    if parts.len() > MOST_PARTS {
        bail!(
            "{} parts of {chunk} bytes, the limit is {MOST_PARTS}: make it smaller, or split it into several extensions",
            parts.len()
        );
    }
    let mut objects = Vec::with_capacity(parts.len() + 1);
    let mut keys = Vec::with_capacity(parts.len());
    let map = format!("{name}-zip");
    for (at, part) in parts.iter().enumerate() {
        let key = format!("{name}.zip.{at}");
        let own = match at {
            0 => map.clone(),
            at => format!("{map}-{at}"),
        };
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": namespace, "name": own},
            "binaryData": {key.clone(): STANDARD.encode(part)},
        }));
        keys.push(match at {
            0 => key,
            _ => format!("{own}/{key}"),
        });
    }
    objects.push(json!({
        "apiVersion": format!("{}/{}", genkan_crds::GATEWAY_GROUP, genkan_crds::VERSION),
        "kind": "GatewayExtension",
        "metadata": {"name": name},
        "spec": {"archive": {"source": {"configMap": {"namespace": namespace, "name": map, "keys": keys}}}},
    }));
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_zip_comes_in_parts_that_make_it_again() {
        let bytes: Vec<u8> = (0..10).collect();
        let objects = objects("corp", "edge", 4, &bytes).unwrap();
        let source = &objects[3]["spec"]["archive"]["source"]["configMap"];
        assert_eq!(
            *source,
            json!({"namespace": "edge", "name": "corp-zip",
                "keys": ["corp.zip.0", "corp-zip-1/corp.zip.1", "corp-zip-2/corp.zip.2"]})
        );
        let parts = objects[..3].iter().zip(0..).flat_map(|(map, at)| {
            let part = map["binaryData"][format!("corp.zip.{at}")].as_str().unwrap();
            STANDARD.decode(part).unwrap()
        });
        assert_eq!(parts.collect::<Vec<_>>(), bytes);
        for (chunk, why) in [(1, "10 parts"), (0, "--chunk 0"), (LARGEST_PART + 1, "--chunk 9")] {
            let error = super::objects("corp", "edge", chunk, &bytes).unwrap_err();
            assert!(error.to_string().starts_with(why), "{error}");
        }
    }

    #[test]
    fn a_name_is_made_of_that_of_the_zip() {
        assert_eq!(name_of(Path::new("a/Corp_Ext v2.zip")), "corp-ext-v2");
    }
}
