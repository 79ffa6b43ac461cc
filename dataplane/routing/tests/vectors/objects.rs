//! Cases about who is served when objects want the same.

use genkan_routing::Standing;

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
            let got = match claims.standing(name) {
                Some(Standing::Wins) => (true, "", String::new()),
                Some(Standing::Conflicted { winner, .. }) => (false, "Conflicted", winner),
                Some(Standing::Shadowed { winner, .. }) => (false, "Shadowed", winner),
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
