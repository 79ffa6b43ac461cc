use genkan_routing::model::{ObjectKey, ObjectRef};

use crate::v1alpha1::ResourceRef;

pub fn to_wire(object: &ObjectRef) -> ResourceRef {
    let ObjectRef { key, uid, generation } = object.clone();
    ResourceRef {
        kind: key.kind.name().to_owned(),
        namespace: key.namespace,
        name: key.name,
        uid,
        generation,
    }
}

/// Fails on a kind that this version does not publish.
pub fn from_wire(object: ResourceRef) -> Result<ObjectRef, ()> {
    let ResourceRef {
        kind,
        namespace,
        name,
        uid,
        generation,
    } = object;
    let kind = kind.parse()?;
    Ok(ObjectRef {
        key: ObjectKey {
            kind,
            namespace,
            name,
        },
        uid,
        generation,
    })
}
