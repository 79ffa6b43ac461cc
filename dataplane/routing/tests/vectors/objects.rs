//! Cases about who is served when objects want the same.

use genkan_routing::Standing;
use genkan_routing::model::ObjectKey;

use super::case::{Case, Outcome, outcome, same, text};
use super::world;

pub fn conflict(case: &Case) -> Outcome {
    let config = &case.json["config"];
    if config["apiServices"].is_array() {
        return Outcome::LeftOut("decided by the operator");
    }
    let claims = world::claims(config);
    let judge = || {
        for (name, expected) in case.expect()["objects"].as_object().unwrap() {
            let got = match claims.standing(&ObjectKey::reverse_proxy(name)) {
                Some(Standing::Wins) => (true, "", String::new()),
                Some(Standing::Conflicted { winner, .. }) => (false, "Conflicted", winner.name),
                Some(Standing::Shadowed { winner, .. }) => (false, "Shadowed", winner.name),
                other => return Err(Outcome::Failed(format!("{name} is {other:?}"))),
            };
            let (reason, winner) = (text(&expected["reason"]), text(&expected["winner"]));
            same(
                name,
                got,
                (expected["served"].as_bool().unwrap(), reason.as_str(), winner),
            )?;
        }
        Ok(())
    };
    outcome(judge())
}
