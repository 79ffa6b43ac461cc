//! Roll-outs of extensions on one stream.

use genkan_proto::v1alpha1::{ActiveRevision, ExtensionReport, RolloutState, rollout, rollout_state};
use genkan_routing::model::policy::{ActiveRevisions, Rollout, RolloutAction, RolloutStage};

use super::*;
use crate::rollouts::Rollouts;

fn mk_rollout(action: RolloutAction) -> Rollout {
    Rollout {
        extension: "corp".into(),
        revision: "corp-2".into(),
        action,
        nonce: 0,
    }
}

impl Proxy {
    async fn rollout(&mut self) -> genkan_proto::v1alpha1::Rollout {
        let message = self.messages.message().await.unwrap().unwrap();
        let Some(operator_message::Message::Rollout(rollout)) = message.message else {
            panic!("{message:?}")
        };
        rollout
    }
}

#[tokio::test]
async fn a_data_plane_is_told_on_its_own_stream_and_what_it_says_reaches_the_engine() {
    let mut rollouts = Rollouts::default();
    let told = rollouts.told();
    let mut rig = mk_rig_of(|service| service.with_rollouts(told)).await;
    rig.feed.publish();
    let hello = Hello {
        protocol_version: PROTOCOL_VERSION,
        name: "edge".into(),
        instance: "i".into(),
        active: [("corp", "corp-1"), ("odd\n", "x"), ("none", "")]
            .map(|(extension, revision)| ActiveRevision {
                extension: extension.into(),
                revision: revision.into(),
            })
            .to_vec(),
        ..Hello::default()
    };
    let mut proxy = rig.subscribe(proxy_message::Message::Hello(hello)).await.unwrap();
    let Some(Input::Connected {
        name,
        session,
        active,
        reply,
        ..
    }) = rig.engine.recv().await
    else {
        panic!()
    };
    let expected = [("corp", "corp-1"), ("none", "")].map(|(name, id)| (name.to_owned(), id.to_owned()));
    assert_eq!(active, ActiveRevisions::from(expected));
    rollouts.join(&name, session, active);
    reply.send(name).unwrap();
    proxy.chunk().await;
    // One behind the other, and none is lost on a stream that has not read the first yet.
    for action in [RolloutAction::Drain, RolloutAction::Apply] {
        rollouts.send("edge", mk_rollout(action)).unwrap();
    }
    let (first, second) = (proxy.rollout().await, proxy.rollout().await);
    assert_eq!(first.action(), rollout::Action::Drain);
    assert_eq!(second.action(), rollout::Action::Apply);
    assert!(first.nonce < second.nonce && second.revision == "corp-2");
    let applied = RolloutState {
        extension: "corp".into(),
        revision: "corp-2".into(),
        stage: rollout_state::Stage::Applied.into(),
        in_flight: 3,
        nonce: second.nonce,
        ..RolloutState::default()
    };
    // What this version does not understand is passed over.
    for state in [RolloutState::default(), applied] {
        proxy.say(proxy_message::Message::RolloutState(state)).await;
    }
    let Some(Input::RolledOut { name, session, state }) = rig.engine.recv().await else {
        panic!()
    };
    let seen = (state.stage, state.in_flight, state.nonce);
    assert_eq!(seen, (RolloutStage::Applied, 3, second.nonce));
    assert!(rollouts.roll(&name, session, state));
    let report = ExtensionReport {
        extension: "corp".into(),
        revision: "corp-2".into(),
        requests: 50,
        errors: 2,
    };
    proxy.say(proxy_message::Message::ExtensionReport(report)).await;
    let Some(Input::ExtensionReport {
        name,
        session,
        report,
    }) = rig.engine.recv().await
    else {
        panic!()
    };
    assert!(rollouts.report(&name, session, report));
    let seen = &rollouts.seen()["edge"];
    assert_eq!(seen.active["corp"], "corp-2");
    assert_eq!(
        (seen.reports["corp"].requests, seen.reports["corp"].errors),
        (50, 2)
    );
}
