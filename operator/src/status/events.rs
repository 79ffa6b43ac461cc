//! Events on their way to the API server. Status never waits for them: what does not fit is left out, and counted.
//!
//! The recorder of kube goes through everything it remembers with each Event, and keeps every Event whole for that: what
//! many objects at once cost would grow with their square. What is remembered here is small and bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use genkan_compile::object::Kind;
use genkan_routing::model::ObjectKey;
use genkan_tools::resource;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Stored;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;

use super::event::Event;
use super::{MANAGER, Queue, TIMEOUT};
use crate::metrics::Metrics;

/// Events that may wait.
const ROOM: usize = 4_096;
/// How long an Event waits for statuses that are to be written.
const DEFERENCE: Duration = Duration::from_secs(1);
/// What is told of the same object with the same reason within this time counts up the first Event.
const SERIES: Duration = Duration::from_secs(6 * 60);
/// Events that are remembered for that.
const MOST_SERIES: usize = 1_024;

/// Where Events are put.
#[derive(Clone, Debug)]
pub(super) struct Events {
    line: mpsc::Sender<News>,
    metrics: Arc<Metrics>,
}

/// Writes them, one after the other, while no status waits.
pub(super) struct Publisher {
    client: Client,
    line: mpsc::Receiver<News>,
    statuses: Arc<Queue>,
    series: SeriesBook,
}

/// An Event and its object.
#[derive(Debug)]
struct News {
    key: ObjectKey,
    uid: String,
    event: Event,
}

/// Whom an Event is about, by uid, and its reason.
type Subject = (String, String);

/// An Event that was written lately.
#[derive(Clone, Debug)]
struct Series {
    name: String,
    count: i32,
    last: Instant,
}

/// Which Events were written lately, in the order in which they were first.
#[derive(Debug, Default)]
struct SeriesBook {
    held: HashMap<Subject, Series>,
    order: VecDeque<Subject>,
}

// === impl Events ===

impl Events {
    pub(super) fn new(client: Client, statuses: Arc<Queue>, metrics: Arc<Metrics>) -> (Self, Publisher) {
        let (sender, line) = mpsc::channel(ROOM);
        let publisher = Publisher {
            client,
            line,
            statuses,
            series: SeriesBook::default(),
        };
        let line = sender;
        (Self { line, metrics }, publisher)
    }

    /// Never waits.
    pub(super) fn tell(&self, key: ObjectKey, uid: String, event: Event) {
        if self.line.try_send(News { key, uid, event }).is_err() {
            self.metrics.events_left_out.inc();
        }
    }
}

// === impl Publisher ===

impl Publisher {
    /// Runs until nobody can put anything in any more.
    pub(super) async fn run(mut self) {
        while let Some(news) = self.line.recv().await {
            // They come from the same API server's time.
            let _ = tokio::time::timeout(DEFERENCE, self.statuses.drained()).await;
            let key = news.key.clone();
            match tokio::time::timeout(TIMEOUT, self.publish(news)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => debug!(object = %key, error = %e, "event not published"),
                Err(_) => debug!(object = %key, "event not published: the API server did not answer"),
            }
        }
    }

    async fn publish(&mut self, news: News) -> Result<(), kube::Error> {
        let now = Instant::now();
        let subject = (news.uid.clone(), news.event.reason.clone());
        let api: Api<Stored> = Api::namespaced(self.client.clone(), namespace(&news.key));
        if let Some(series) = self.series.again(&subject, now) {
            let change = json!({"series": {
                "count": series.count,
                "lastObservedTime": MicroTime(Timestamp::now()),
            }});
            let patched = api
                .patch(&series.name, &PatchParams::default(), &Patch::Merge(change))
                .await;
            match patched {
                // The API server forgets Events after an hour, or sooner.
                Err(kube::Error::Api(e)) if e.code == 404 => {}
                other => return other.map(drop),
            }
        }
        let stored = stored(&news);
        let name = stored.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &stored).await?;
        self.series.begin(subject, name, now);
        Ok(())
    }
}

/// Events of objects without a namespace are kept here.
fn namespace(key: &ObjectKey) -> &str {
    match key.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    }
}

fn stored(news: &News) -> Stored {
    let News { key, uid, event } = news;
    let now = Timestamp::now();
    let resource = resource::of(Kind::Published(key.kind));
    Stored {
        action: Some("Reconcile".into()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            namespace: Some(namespace(key).to_owned()),
            name: Some(format!("{}.{:x}", key.name, now.as_nanosecond())),
            ..ObjectMeta::default()
        },
        note: event.note.clone(),
        reason: Some(event.reason.clone()),
        regarding: Some(ObjectReference {
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            namespace: Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: Some(key.name.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(MANAGER.into()),
        reporting_instance: Some(MANAGER.into()),
        type_: Some(if event.is_warning { "Warning" } else { "Normal" }.into()),
        ..Stored::default()
    }
}

// === impl SeriesBook ===

impl SeriesBook {
    /// The Event that is to be counted up, counted.
    fn again(&mut self, subject: &Subject, now: Instant) -> Option<Series> {
        let series = self.held.get_mut(subject)?;
        if now.duration_since(series.last) >= SERIES {
            return None;
        }
        series.count += 1;
        series.last = now;
        Some(series.clone())
    }

    fn begin(&mut self, subject: Subject, name: String, now: Instant) {
        let (count, last) = (1, now);
        let before = self.held.insert(subject.clone(), Series { name, count, last });
        if before.is_none() {
            self.order.push_back(subject);
        }
        while let Some(first) = self.order.front() {
            let is_over =
                (self.held.get(first)).is_none_or(|series| now.duration_since(series.last) >= SERIES);
            if !is_over && self.order.len() <= MOST_SERIES {
                break;
            }
            if let Some(first) = self.order.pop_front() {
                self.held.remove(&first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_subject(n: usize) -> Subject {
        (n.to_string(), "Ready".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_again_is_counted_for_six_minutes() {
        let mut book = SeriesBook::default();
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(book.again(&mk_subject(1), at(0)).is_none());
        book.begin(mk_subject(1), "a.1".to_owned(), at(0));
        for (second, count) in [(10, 2), (360, 3)] {
            let series = book.again(&mk_subject(1), at(second)).unwrap();
            assert_eq!((series.name.as_str(), series.count), ("a.1", count));
        }
        assert!(book.again(&mk_subject(1), at(720)).is_none());
        book.begin(mk_subject(1), "a.2".to_owned(), at(720));
        assert_eq!(book.again(&mk_subject(1), at(721)).unwrap().name, "a.2");
        assert_eq!((book.held.len(), book.order.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_has_an_end() {
        let mut book = SeriesBook::default();
        let now = Instant::now();
        for n in 0..MOST_SERIES + 5 {
            book.begin(mk_subject(n), n.to_string(), now);
        }
        assert_eq!((book.held.len(), book.order.len()), (MOST_SERIES, MOST_SERIES));
        assert!(book.again(&mk_subject(4), now).is_none() && book.again(&mk_subject(5), now).is_some());
        book.begin(mk_subject(0), "0".to_owned(), now + SERIES);
        assert!(book.held.len() <= 2, "old ones go");
    }

    #[tokio::test]
    async fn nobody_waits_for_events_and_what_has_no_room_is_counted() {
        let (line, mut waiting) = mpsc::channel(1);
        let metrics = Arc::<Metrics>::default();
        let events = Events {
            line,
            metrics: Arc::clone(&metrics),
        };
        for n in 0..3 {
            let event = Event {
                is_warning: false,
                reason: "Ready".into(),
                note: None,
            };
            events.tell(ObjectKey::reverse_proxy("a"), n.to_string(), event);
        }
        assert_eq!(metrics.events_left_out.get(), 2);
        assert_eq!(waiting.recv().await.unwrap().uid, "0");
    }

    #[test]
    fn an_event_names_its_object() {
        let news = News {
            key: ObjectKey::reverse_proxy("shop"),
            uid: "u".into(),
            event: Event {
                is_warning: true,
                reason: "Invalid".into(),
                note: Some("why".into()),
            },
        };
        let stored = stored(&news);
        let regarding = stored.regarding.unwrap();
        assert_eq!(
            (
                regarding.kind.as_deref(),
                regarding.name.as_deref(),
                regarding.uid.as_deref()
            ),
            (Some("ReverseProxy"), Some("shop"), Some("u"))
        );
        assert_eq!(regarding.namespace, None);
        assert_eq!(stored.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(
            (stored.type_.as_deref(), stored.note.as_deref()),
            (Some("Warning"), Some("why"))
        );
    }
}
