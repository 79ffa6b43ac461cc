//! The time is paused: nothing here waits.

use futures::FutureExt;
use genkan_routing::model::policy::RolloutAction;

use super::*;

fn mk_rollout(action: RolloutAction) -> Rollout {
    Rollout {
        extension: "corp".into(),
        revision: "corp-1".into(),
        action,
        nonce: 7,
    }
}

fn mk_rollouts() -> (Rollouts, Arc<Retreat>, Arc<Traffic>) {
    let (retreat, traffic) = (Arc::<Retreat>::default(), Arc::<Traffic>::default());
    let rollouts = Rollouts::new(Arc::clone(&retreat), Arc::clone(&traffic));
    (rollouts, retreat, traffic)
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_told_when_it_changes_and_once_a_second() {
    let (mut rollouts, retreat, traffic) = mk_rollouts();
    assert!(rollouts.next().now_or_never().is_none(), "nobody asked");
    let [one, other] = [(); 2].map(|()| traffic.begin_request());
    rollouts.drain(mk_rollout(RolloutAction::Drain));
    assert!(*retreat.begun().borrow());
    let told = rollouts.next().await;
    assert_eq!(
        (told.stage, told.in_flight, told.nonce),
        (RolloutStage::Draining, 2, 7)
    );
    drop(one);
    let start = Instant::now();
    assert_eq!(rollouts.next().await.in_flight, 1);
    assert_eq!(start.elapsed(), PAUSE);
    drop(other);
    assert_eq!(rollouts.next().await.stage, RolloutStage::Drained);
    // One that still comes is told of as well.
    let _late = traffic.begin_request();
    assert_eq!(rollouts.next().await.stage, RolloutStage::Draining);
    rollouts.undrain("other");
    assert!(*retreat.begun().borrow());
    rollouts.undrain("corp");
    assert!(!*retreat.begun().borrow() && rollouts.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_comes_back_is_told_again_and_one_that_does_not_is_not_waited_for() {
    let (mut rollouts, retreat, _) = mk_rollouts();
    rollouts.drain(mk_rollout(RolloutAction::Drain));
    assert_eq!(rollouts.next().await.stage, RolloutStage::Drained);
    rollouts.is_alone();
    tokio::time::advance(ABANDONED / 2).await;
    rollouts.begin();
    assert_eq!(rollouts.next().await.stage, RolloutStage::Drained);
    for (after, is_away) in [
        (Duration::ZERO, true),
        (ABANDONED / 2, true),
        (ABANDONED / 2, false),
    ] {
        tokio::time::advance(after).await;
        rollouts.is_alone();
        assert_eq!(*retreat.begun().borrow(), is_away, "{after:?}");
    }
}
