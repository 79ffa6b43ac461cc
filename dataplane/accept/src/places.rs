use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::share;

/// Connections that were closed for what they did not do, by listener and reason.
pub type Closed = Family<[(&'static str, &'static str); 2], Counter>;

/// What connections of one listener may take.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Open at a time.
    pub most: usize,
    /// Of those, waiting at a time.
    pub most_waiting: usize,
    /// Of those, from one address, or one /64 of IPv6.
    pub most_waiting_of_one: usize,
    /// From accepting a connection until its first request is whole.
    pub first: Duration,
    /// From the answer to one request until the next one is whole.
    pub next: Duration,
}

/// The places of a listener, and who sits there.
#[derive(Debug)]
pub struct Places {
    name: &'static str,
    shares: Shares,
    state: Mutex<State>,
    /// Few places are left; known without the lock.
    is_crowded: AtomicBool,
    /// Somebody waits less long than everybody else.
    sooner: Notify,
    late: Counter,
    crowded: Counter,
    full: Counter,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    seats: HashMap<u64, Seat>,
    /// By the end of their time.
    waiting: BTreeMap<Turn, u64>,
    of_one: HashMap<IpAddr, BTreeSet<Turn>>,
}

/// When the time of somebody who waits is over; the number tells those apart whose time ends at once.
type Turn = (Instant, u64);

#[derive(Debug)]
struct Seat {
    peer: IpAddr,
    /// Known as soon as it runs.
    task: Option<AbortHandle>,
    calls: usize,
    has_called: bool,
    /// While it waits.
    turn: Option<Turn>,
}

/// The place of one connection, taken until the last of these is gone.
#[derive(Clone, Debug)]
pub struct Place(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    places: Arc<Places>,
    id: u64,
    peer: SocketAddr,
}

/// Something of this connection is being answered; it does not wait.
#[derive(Debug)]
pub struct Call(Place);

/// Of an administration port: whoever scrapes, probes and looks.
const ADMINISTRATORS: usize = 32;
const ADMIN_HEAD: Duration = Duration::from_secs(10);
const ADMIN_IDLE: Duration = Duration::from_secs(30);

// === impl Shares ===

impl Shares {
    /// Of an administration port, in both programs. The time for reading an answer is part of that to the next request.
    pub fn admin() -> Self {
        let most = ADMINISTRATORS.min(share(3).max(4));
        Self {
            most,
            most_waiting: most,
            most_waiting_of_one: most,
            first: ADMIN_HEAD,
            next: ADMIN_IDLE,
        }
    }
}

// === impl Places ===

impl Places {
    /// `name` is the listener's, in the log and in `closed`.
    pub fn new(name: &'static str, shares: Shares, closed: &Closed) -> Arc<Self> {
        let count = |reason| {
            closed
                .get_or_create(&[("listener", name), ("reason", reason)])
                .clone()
        };
        let [late, crowded, full] = ["late", "crowded", "full"].map(count);
        Arc::new(Self {
            name,
            shares,
            state: Mutex::default(),
            is_crowded: AtomicBool::new(false),
            sooner: Notify::new(),
            late,
            crowded,
            full,
        })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Connections that are open.
    pub fn taken(&self) -> usize {
        self.state.lock().seats.len()
    }

    /// Serves a connection in a task of its own, unless every place is taken by those who are being answered.
    pub fn seat<F>(self: &Arc<Self>, peer: SocketAddr, serve: impl FnOnce(Place) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let one = one_of(peer.ip());
        let mut state = self.state.lock();
        let mut gone = None;
        if state.of_one.get(&one).map_or(0, BTreeSet::len) >= self.shares.most_waiting_of_one {
            gone = state.of_one.get(&one).and_then(|turns| turns.first().copied());
        } else if state.waiting.len() >= self.shares.most_waiting || state.seats.len() >= self.shares.most {
            gone = state.waiting.first_key_value().map(|(turn, _)| *turn);
        }
        let gone = gone.and_then(|turn| state.end(turn));
        if gone.is_none() && state.seats.len() >= self.shares.most {
            drop(state);
            return self.tell(&self.full, "too many connections: new ones are closed");
        }
        let id = state.next;
        state.next += 1;
        let place = Place(Arc::new(Taken {
            places: Arc::clone(self),
            id,
            peer,
        }));
        let seat = Seat {
            peer: one,
            task: None,
            calls: 0,
            has_called: false,
            turn: None,
        };
        state.seats.insert(id, seat);
        self.look(&state);
        let is_first = state.wait(id, Instant::now() + self.shares.first);
        drop(state);
        if is_first {
            self.sooner.notify_one();
        }
        let task = tokio::spawn(serve(place)).abort_handle();
        match self.state.lock().seats.get_mut(&id) {
            Some(seat) => seat.task = Some(task),
            None => task.abort(),
        }
        if let Some(gone) = gone {
            gone.close();
            self.tell(
                &self.crowded,
                "too many connections: those that have waited longest are closed",
            );
        }
    }

    /// Closes whoever has waited longest.
    pub fn make_room(&self) {
        let mut state = self.state.lock();
        let turn = state.waiting.first_key_value().map(|(turn, _)| *turn);
        let gone = turn.and_then(|turn| state.end(turn));
        drop(state);
        if let Some(gone) = gone {
            gone.close();
            self.tell(
                &self.crowded,
                "too many open files: connections that have waited longest are closed",
            );
        }
    }

    /// Closes whoever waits for too long, for ever.
    pub async fn keep(&self) -> Infallible {
        loop {
            let sooner = self.sooner.notified();
            let next = self
                .state
                .lock()
                .waiting
                .first_key_value()
                .map(|(turn, _)| turn.0);
            match next {
                None => sooner.await,
                Some(end) => tokio::select! {
                    () = sooner => {}
                    () = tokio::time::sleep_until(end) => self.close_late(),
                },
            }
        }
    }

    fn close_late(&self) {
        let now = Instant::now();
        loop {
            let mut state = self.state.lock();
            let turn = state.waiting.first_key_value().map(|(turn, _)| *turn);
            let Some(gone) = turn.filter(|turn| turn.0 <= now).and_then(|turn| state.end(turn)) else {
                return;
            };
            drop(state);
            gone.close();
            // That a connection is not used again is no fault of its peer.
            if !gone.has_called {
                self.late.inc();
            }
        }
    }

    fn look(&self, state: &State) {
        let is_crowded = state.seats.len() >= self.shares.most - self.shares.most / 4;
        self.is_crowded.store(is_crowded, Ordering::Relaxed);
    }

    /// Counts, and says so at the first one and then ever more rarely: whoever opens too many opens very many.
    fn tell(&self, counter: &Counter, what: &'static str) {
        let before = counter.inc();
        if (before + 1).is_power_of_two() {
            tracing::warn!(
                listener = self.name,
                total = before + 1,
                open = self.taken(),
                "{what}"
            );
        }
    }
}

// === impl State ===

impl State {
    /// True when it waits less long than everybody else.
    fn wait(&mut self, id: u64, until: Instant) -> bool {
        let turn = (until, self.next);
        self.next += 1;
        let Some(seat) = self.seats.get_mut(&id) else {
            return false;
        };
        seat.turn = Some(turn);
        self.of_one.entry(seat.peer).or_default().insert(turn);
        self.waiting.insert(turn, id);
        self.waiting
            .first_key_value()
            .is_some_and(|(first, _)| *first == turn)
    }

    fn stop_waiting(&mut self, peer: IpAddr, turn: Turn) {
        self.waiting.remove(&turn);
        if let Some(turns) = self.of_one.get_mut(&peer) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.of_one.remove(&peer);
            }
        }
    }

    /// Takes the seat of whoever waits until then.
    fn end(&mut self, turn: Turn) -> Option<Seat> {
        let id = self.waiting.get(&turn).copied()?;
        self.leave(id)
    }

    fn leave(&mut self, id: u64) -> Option<Seat> {
        let seat = self.seats.remove(&id)?;
        if let Some(turn) = seat.turn {
            self.stop_waiting(seat.peer, turn);
        }
        Some(seat)
    }
}

// === impl Seat ===

impl Seat {
    fn close(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

// === impl Place ===

impl Place {
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Three quarters of the places are taken: whoever is between two requests should not keep one for long.
    pub fn is_crowded(&self) -> bool {
        self.0.places.is_crowded.load(Ordering::Relaxed)
    }

    /// A request is whole. `None` when the place was given away: the connection is being closed.
    pub fn begin(&self) -> Option<Call> {
        let mut state = self.0.places.state.lock();
        let seat = state.seats.get_mut(&self.0.id)?;
        seat.calls += 1;
        seat.has_called = true;
        let (peer, turn) = (seat.peer, seat.turn.take());
        if let Some(turn) = turn {
            state.stop_waiting(peer, turn);
        }
        drop(state);
        Some(Call(self.clone()))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.places.state.lock();
        state.leave(self.id);
        self.places.look(&state);
    }
}

// === impl Call ===

impl Drop for Call {
    fn drop(&mut self) {
        let taken = &self.0.0;
        let places = &taken.places;
        let mut state = places.state.lock();
        let Some(seat) = state.seats.get_mut(&taken.id) else {
            return;
        };
        seat.calls -= 1;
        if seat.calls > 0 {
            return;
        }
        let is_first = state.wait(taken.id, Instant::now() + places.shares.next);
        drop(state);
        if is_first {
            places.sooner.notify_one();
        }
    }
}

/// What counts as one: whoever has an address of IPv6 has its whole /64.
fn one_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests;
