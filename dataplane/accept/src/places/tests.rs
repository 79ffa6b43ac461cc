use tokio::sync::oneshot;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Places, and the clock by which they are kept.
struct Room {
    places: Arc<Places>,
    closed: Closed,
}

/// A connection as its client sees it: the end comes when nobody serves it any more.
struct Client {
    place: Place,
    end: oneshot::Receiver<()>,
}

impl Room {
    fn mk(adjust: impl FnOnce(&mut Shares)) -> Self {
        let mut shares = Shares {
            most: 4,
            most_waiting: 4,
            most_waiting_of_one: 4,
            first: 10 * SECOND,
            next: 30 * SECOND,
        };
        adjust(&mut shares);
        let closed = Closed::default();
        let places = Places::new("test", shares, &closed);
        let keeping = Arc::clone(&places);
        tokio::spawn(async move { keeping.keep().await });
        Self { places, closed }
    }

    /// `None` where it is turned away.
    async fn try_connect(&self, address: &str) -> Option<Client> {
        let (told, place) = oneshot::channel();
        let (held, end) = oneshot::channel::<()>();
        let peer = SocketAddr::new(address.parse().unwrap(), 4711);
        self.places.seat(peer, |place| async move {
            let _held = held;
            // Only the task holds the place, as it does in the programs.
            let weak = Arc::downgrade(&place.0);
            let _ = told.send(weak);
            std::future::pending::<()>().await;
            drop(place);
        });
        let place = place.await.ok()?.upgrade()?;
        Some(Client {
            place: Place(place),
            end,
        })
    }

    async fn connect(&self) -> Client {
        self.try_connect("192.0.2.7").await.unwrap()
    }

    fn closed(&self, reason: &'static str) -> u64 {
        self.closed
            .get_or_create(&[("listener", "test"), ("reason", reason)])
            .get()
    }
}

impl Client {
    /// Whether it is closed by now.
    async fn is_closed(&mut self) -> bool {
        tokio::time::sleep(Duration::from_millis(1)).await;
        matches!(self.end.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_and_answers_take_their_time() {
    let room = Room::mk(|_| {});
    let start = Instant::now();
    let (silent, mut busy) = (room.connect().await, room.connect().await);
    let call = busy.place.begin().unwrap();
    silent.end.await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 10);
    tokio::time::sleep(3600 * SECOND).await;
    assert!(!busy.is_closed().await);
    drop(call);
    let start = Instant::now();
    let again = busy.place.begin().unwrap();
    tokio::time::sleep(40 * SECOND).await;
    drop(again);
    busy.end.await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 70);
    assert_eq!(room.closed("late"), 1, "one was never used, the other used up");
    assert!(busy.place.begin().is_none(), "its place is given away");
}

#[tokio::test(start_paused = true)]
async fn a_connection_waits_only_when_none_of_its_calls_is_answered() {
    let room = Room::mk(|_| {});
    let mut client = room.connect().await;
    let (one, other) = (client.place.begin().unwrap(), client.place.begin().unwrap());
    drop(one);
    tokio::time::sleep(60 * SECOND).await;
    assert!(!client.is_closed().await);
    drop(other);
    tokio::time::sleep(31 * SECOND).await;
    assert!(client.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn who_waited_longest_makes_room_and_who_is_answered_does_not() {
    let room = Room::mk(|_| {});
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(room.connect().await);
    }
    let calls = [all[0].place.begin(), all[2].place.begin()];
    let mut newest = room.connect().await;
    assert!(all[1].is_closed().await && !all[3].is_closed().await && !newest.is_closed().await);
    assert_eq!((room.closed("crowded"), room.places.taken()), (1, 4));
    let more = [all[3].place.begin(), newest.place.begin()];
    assert!(room.try_connect("192.0.2.7").await.is_none());
    assert_eq!(room.closed("full"), 1);
    drop((calls, more));
    assert!(room.try_connect("192.0.2.7").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn one_address_takes_the_places_of_no_other() {
    let room = Room::mk(|shares| (shares.most, shares.most_waiting, shares.most_waiting_of_one) = (99, 9, 3));
    let mut neighbour = room.try_connect("192.0.2.8").await.unwrap();
    let mut sixth = room.try_connect("2001:db8::1").await.unwrap();
    let mut flood = Vec::new();
    for number in 0..50 {
        flood.push(room.connect().await);
        flood.push(room.try_connect(&format!("2001:db8::{number}")).await.unwrap());
    }
    assert!(!neighbour.is_closed().await);
    assert!(sixth.is_closed().await, "a /64 is one");
    assert_eq!(room.places.taken(), 3 + 3 + 1);
    let mut others = Vec::new();
    for number in 10..30 {
        others.push(room.try_connect(&format!("192.0.2.{number}")).await.unwrap());
    }
    assert_eq!(room.places.taken(), 9);
    assert!(!others[19].is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_its_connection_ends() {
    let room = Room::mk(|shares| shares.most = 1);
    for _ in 0..3 {
        let (done, ended) = oneshot::channel();
        let peer = SocketAddr::new([192, 0, 2, 7].into(), 4711);
        room.places.seat(peer, |place| async move {
            let call = place.begin();
            drop((call, place));
            let _ = done.send(());
        });
        ended.await.unwrap();
        assert_eq!(room.places.taken(), 0);
    }
    room.places.make_room();
    assert_eq!(room.closed("crowded"), 0);
}

#[tokio::test(start_paused = true)]
async fn room_is_made_when_files_run_out() {
    let room = Room::mk(|_| {});
    let (mut first, mut second) = (room.connect().await, room.connect().await);
    room.places.make_room();
    assert!(first.is_closed().await && !second.is_closed().await);
}
