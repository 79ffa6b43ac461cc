//! What a data plane reads of the stream: chunks as they come, and what is in them.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use genkan_compile::Compiler;
use genkan_compile::index::{Change, Dirty, Index};
use genkan_compile::object::{Kind, Object};
use genkan_dataplane::names::{Names, System};
use genkan_dataplane::stream::assembly::Assembly;
use genkan_dataplane::tables;
use genkan_proto::codec::{self, Content};
use genkan_proto::v1alpha1::{Snapshot, SnapshotChunk};
use genkan_proto::{Buckets, compress, resource_hash};
use genkan_tools::directory::documents;
use prost::Message;

use super::seeds;
use super::target::Target;

/// Tags of fields, and what stands in messages.
const PIECES: &[&str] = &[
    "\n",
    "\u{12}",
    "\u{1a}",
    "\"",
    "*",
    "\0",
    "\u{1}",
    "\u{8}",
    "\u{10}",
    "\u{18}",
    " ",
    "\u{7f}",
    "ReverseProxy/x",
    "APIService/v1.x",
    "ReverseProxy",
    "n/s:80",
    "/proxy/x/*",
    "http",
    "x.example",
    "(\u{b5}/\u{fd}",
];

#[test]
fn chunks_are_joined_or_refused() {
    let snapshots = snapshots();
    let frames = snapshots
        .iter()
        .map(|snapshot| chunks(&compress(snapshot).unwrap(), 2));
    Target {
        name: "frames",
        seeds: frames.collect(),
        pieces: PIECES,
        judge: judge_chunks,
        accepted: 0,
    }
    .run();
}

#[test]
fn resources_are_built_or_objected_to() {
    Target {
        name: "resources",
        seeds: snapshots().iter().map(Message::encode_to_vec).collect(),
        pieces: PIECES,
        judge: judge_snapshot,
        accepted: 2,
    }
    .run();
}

/// What the operator makes of each of the manifests.
fn snapshots() -> Vec<Snapshot> {
    let of = |text: Vec<u8>| {
        let (mut index, mut dirty) = (Index::default(), Dirty::default());
        for (_, value) in documents(&String::from_utf8(text).unwrap()).0 {
            let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            let kind = Kind::of(&word("apiVersion"), &word("kind"));
            if let Some(Ok(object)) = kind.map(|kind| Object::read(kind, value)) {
                index.take(Change::Apply(Box::new(object)), &mut dirty);
            }
        }
        let upserts = Compiler::default().compile(&index, &dirty).upserts;
        Snapshot {
            upserts: upserts.iter().map(codec::encode).collect(),
            removals: vec!["ReverseProxy/gone".to_owned()],
        }
    };
    seeds::manifests().into_iter().map(of).collect()
}

/// A frame in so many chunks, each behind its length.
fn chunks(frame: &[u8], count: usize) -> Vec<u8> {
    let size = frame.len().div_ceil(count).max(1);
    let mut out = Vec::new();
    for (index, payload) in (0..).zip(frame.chunks(size)) {
        let chunk = SnapshotChunk {
            nonce: 1,
            index,
            last: (index as usize + 1) * size >= frame.len(),
            payload: payload.to_vec().into(),
            new_hash: vec![7; 32],
            ..SnapshotChunk::default()
        };
        chunk.encode_length_delimited(&mut out).unwrap();
    }
    out
}

fn judge_chunks(bytes: &[u8]) -> bool {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut assembly = Assembly::default();
    let mut is_complete = false;
    while rest.has_remaining() {
        let Ok(chunk) = SnapshotChunk::decode_length_delimited(&mut rest) else {
            break;
        };
        if let Ok(Some(complete)) = assembly.add(chunk) {
            is_complete = true;
            read(&complete.snapshot);
        }
    }
    is_complete
}

fn judge_snapshot(bytes: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::decode(bytes) else {
        return false;
    };
    let frame = compress(&snapshot).unwrap();
    let mut rest = Bytes::from(chunks(&frame, 3));
    let mut assembly = Assembly::default();
    let mut complete = None;
    while rest.has_remaining() {
        let chunk = SnapshotChunk::decode_length_delimited(&mut rest).unwrap();
        complete = assembly.add(chunk).unwrap();
    }
    assert_eq!(complete.unwrap().snapshot, snapshot, "another snapshot came out");
    read(&snapshot)
}

/// Whether all of it was understood.
fn read(snapshot: &Snapshot) -> bool {
    let mut is_understood = true;
    let mut buckets: Buckets<[u8; 32]> = Buckets::default();
    for bytes in &snapshot.upserts {
        let Ok(decoded) = codec::decode(bytes) else {
            is_understood = false;
            continue;
        };
        buckets.insert(&decoded.key, resource_hash(bytes));
        match decoded.content {
            Content::Resource(resource) => {
                let again = codec::decode(&codec::encode(&resource)).unwrap();
                assert!(
                    matches!(&again.content, Content::Resource(again) if *again == resource),
                    "{resource:?} became {again:?}"
                );
            }
            Content::Stub(stub) => {
                is_understood = false;
                assert!(!stub.message.is_empty(), "a stub without a word");
            }
        }
    }
    let change = tables::Change {
        base: None,
        upserts: &snapshot.upserts,
        removals: &[],
        announced: &buckets.hash().0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let names = Names::new(Arc::new(System::default()), Arc::default());
    let applied = tables::Builder::new(Arc::new(names), Arc::default()).apply(change);
    is_understood && applied.is_ok()
}
