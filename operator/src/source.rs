//! Objects on their way to the engine, from Kubernetes or from a directory of YAML.

pub mod directory;
pub mod kubernetes;
