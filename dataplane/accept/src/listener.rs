use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::{Place, Places};

/// After accepting failed, as it does without free files.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts for ever. `serve` makes what a connection is served by, in a task of its own that ends with its place.
pub async fn accept<F>(
    listener: TcpListener,
    places: Arc<Places>,
    mut serve: impl FnMut(TcpStream, Place) -> F,
) -> Infallible
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut keeping = pin!(places.keep());
    let mut failures = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            never = &mut keeping => return never,
        };
        match accepted {
            Ok((stream, peer)) => places.seat(peer, |place| serve(stream, place)),
            Err(error) => {
                failures += 1;
                if failures.is_power_of_two() {
                    tracing::warn!(%error, failures, listener = places.name(), "no connection can be accepted");
                }
                // What is closed gives its file back.
                places.make_room();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
