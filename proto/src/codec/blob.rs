use genkan_routing::model::{Blob, BlobKey};

use crate::v1alpha1 as wire;

/// The name of a content.
pub fn blob_key(blob: &Blob) -> BlobKey {
    BlobKey(*blake3::hash(&blob.content).as_bytes())
}

pub fn to_wire(blob: &Blob) -> wire::resource::Resource {
    wire::resource::Resource::Blob(wire::Blob {
        content: blob.content.to_vec(),
    })
}

pub fn chunk_to_wire(blob: &Blob) -> wire::resource::Resource {
    wire::resource::Resource::Chunk(wire::Chunk {
        content: blob.content.to_vec(),
    })
}

pub fn from_wire(blob: wire::Blob) -> Blob {
    Blob {
        content: blob.content.into(),
    }
}
