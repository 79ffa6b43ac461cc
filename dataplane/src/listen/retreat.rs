use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;
use tokio::sync::watch;

/// Whether clients are asked to go elsewhere: for good, because the process ends, or for as long as an extension changes.
#[derive(Debug, Default)]
pub struct Retreat {
    state: Mutex<State>,
    begun: watch::Sender<bool>,
    away: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    is_ending: bool,
    /// The extension for which it is.
    extension: Option<String>,
}

// === impl Retreat ===

impl Retreat {
    /// True while it lasts: connections of HTTP/1 end with the answer that they wait for.
    pub fn begun(&self) -> ShutdownWatch {
        self.begun.subscribe()
    }

    /// True while it lasts for an extension: connections of HTTP/2 are sent away at once, as no listener closes behind them.
    pub fn away(&self) -> ShutdownWatch {
        self.away.subscribe()
    }

    /// The process ends.
    pub fn end(&self) {
        self.change(|state| state.is_ending = true);
    }

    /// Until [`return_from`](Self::return_from).
    pub fn step_back(&self, extension: &str) {
        self.change(|state| state.extension = Some(extension.to_owned()));
    }

    /// Clients may come again, if it was this extension for which they were sent away.
    pub fn return_from(&self, extension: &str) {
        self.change(|state| {
            state.extension.take_if(|known| known == extension);
        });
    }

    /// Why nobody is to come here, for people.
    pub fn why(&self) -> Option<String> {
        let state = self.state.lock();
        match &state.extension {
            _ if state.is_ending => Some("draining".to_owned()),
            Some(extension) => Some(format!("draining: the extension {extension} is rolled out")),
            None => None,
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let is_away = state.extension.is_some();
        let is_begun = is_away || state.is_ending;
        let set = |value: bool| move |told: &mut bool| std::mem::replace(told, value) != value;
        self.begun.send_if_modified(set(is_begun));
        self.away.send_if_modified(set(is_away));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_does_not_come_back() {
        let retreat = Retreat::default();
        let (begun, away) = (retreat.begun(), retreat.away());
        let told = || (*begun.borrow(), *away.borrow(), retreat.why());
        assert_eq!(told(), (false, false, None));
        retreat.step_back("corp");
        let why = "draining: the extension corp is rolled out";
        assert_eq!(told(), (true, true, Some(why.to_owned())));
        retreat.return_from("other");
        assert_eq!(told(), (true, true, Some(why.to_owned())));
        retreat.return_from("corp");
        assert_eq!(told(), (false, false, None));
        retreat.step_back("corp");
        retreat.end();
        retreat.return_from("corp");
        assert_eq!(told(), (true, false, Some("draining".to_owned())));
    }
}
