//! A watch of one kind at an API server that is scripted; time is paused.

use std::sync::Arc;

use genkan_compile::index::{Dirty, Index};
use genkan_routing::model::Published;
use http::{Request, Response};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::json;

use super::*;

/// What the API server answers: the code for lists, and for watches.
type Codes = Arc<Mutex<(u16, u16)>>;

struct Rig {
    codes: Codes,
    inputs: mpsc::Receiver<Input>,
    index: Index,
}

fn mk_rig(kind: Kind, codes: (u16, u16)) -> Rig {
    let codes = Arc::new(Mutex::new(codes));
    let script = Arc::clone(&codes);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (list, watch) = *script.lock();
        let is_watch = request.uri().query().unwrap_or_default().contains("watch=true");
        async move { answer(if is_watch { watch } else { list }, is_watch).await }
    });
    let client = Client::new(service, "default");
    let (engine, inputs) = mpsc::channel(64);
    let watch = Watch {
        kind,
        api: resource::api(&client, &resource::of(kind), ""),
        engine,
        told: HashSet::new(),
        absent: None,
        was_listed: false,
    };
    tokio::spawn(watch.run());
    Rig {
        codes,
        inputs,
        index: Index::default(),
    }
}

/// One object in lists; watches that are taken stay silent for a minute.
async fn answer(code: u16, is_watch: bool) -> Result<Response<Body>, tower::BoxError> {
    let body = match (code, is_watch) {
        (200, true) => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            String::new()
        }
        (200, false) => json!({
            "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"},
            "items": [{"metadata": {"name": "a", "namespace": "n"}}],
        })
        .to_string(),
        _ => json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": ""})
            .to_string(),
    };
    let body = Body::from(body.into_bytes());
    Ok(Response::builder().status(code).body(body)?)
}

impl Rig {
    /// Takes in what the engine is told until it hears of an absence, or of an end of one.
    async fn hears(&mut self) -> Option<Absence> {
        loop {
            match self.inputs.recv().await {
                Some(Input::Absent(_, absence)) => return absence,
                Some(Input::Changes(changes)) => self.take(changes),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn changes(&mut self) {
        match self.inputs.recv().await {
            Some(Input::Changes(changes)) => self.take(changes),
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, changes: Vec<Change>) {
        let mut dirty = Dirty::default();
        for change in changes {
            self.index.take(change, &mut dirty);
        }
    }

    fn has_listed(&self, name: &str) -> bool {
        !self.index.missing().contains(&name)
    }
}

const SERVICE: Kind = Kind::Watched(Watched::Service);
const PROXY: Kind = Kind::Published(Published::ReverseProxy);

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_listed_is_no_empty_one() {
    for kind in [SERVICE, PROXY] {
        let mut rig = mk_rig(kind, (403, 403));
        assert_eq!(rig.hears().await, Some(Absence::Right));
        let more = tokio::time::timeout(Duration::from_secs(600), rig.inputs.recv()).await;
        assert!(more.is_err(), "{more:?}");
        *rig.codes.lock() = (200, 200);
        assert_eq!(rig.hears().await, None);
        assert!(!rig.has_listed(kind.name()));
        rig.changes().await;
        assert!(rig.has_listed(kind.name()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_a_definition_has_no_objects_until_it_appears() {
    let mut rig = mk_rig(PROXY, (404, 404));
    assert_eq!(rig.hears().await, Some(Absence::Definition));
    rig.changes().await;
    assert!(rig.has_listed("ReverseProxy") && rig.index.published.is_empty());
    *rig.codes.lock() = (200, 200);
    assert_eq!(rig.hears().await, None);
    rig.changes().await;
    assert_eq!(rig.index.published.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_lost_takes_nothing_away_and_is_told() {
    for codes in [(200, 403), (403, 403)] {
        let mut rig = mk_rig(SERVICE, (200, 200));
        rig.changes().await;
        assert_eq!(rig.index.services.len(), 1);
        *rig.codes.lock() = codes;
        assert_eq!(rig.hears().await, Some(Absence::Right));
        let more = tokio::time::timeout(Duration::from_secs(600), rig.inputs.recv()).await;
        assert!(more.is_err(), "{more:?}");
        *rig.codes.lock() = (200, 200);
        // No object changes, so that the watch itself has nothing to say.
        assert_eq!(rig.hears().await, None);
        assert_eq!(rig.index.services.len(), 1);
    }
}
