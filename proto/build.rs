//! Generates the messages and the client and server of `proto/config.proto`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/config.proto");
    println!("cargo:rerun-if-changed=build.rs");
    let files = protox::compile(["proto/config.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".genkan.config.v1alpha1.SnapshotChunk.payload")
        .bytes(".genkan.config.v1alpha1.Snapshot.upserts")
        .skip_debug([
            ".genkan.config.v1alpha1.SecretValue",
            ".genkan.config.v1alpha1.SecretEntry",
        ])
        .compile_fds(files)?;
    Ok(())
}
