use genkan_routing::model::{Duty, Probed, Report, SecretKey};

use crate::v1alpha1 as wire;

/// All duties of one proxy.
pub fn duties_to_wire(duties: &[Duty]) -> wire::Duties {
    let duty = |duty: &Duty| wire::Duty {
        name: duty.name.clone(),
        turn: duty.turn,
        duty: Some(wire::duty::Duty::Probe(duty.plan.to_string())),
    };
    wire::Duties {
        duties: duties.iter().map(duty).collect(),
    }
}

/// Those that this version can do.
pub fn duties_from_wire(duties: wire::Duties) -> Vec<Duty> {
    let duty = |duty: wire::Duty| match duty.duty? {
        wire::duty::Duty::Probe(key) => Some(Duty {
            name: duty.name,
            turn: duty.turn,
            plan: SecretKey::parse(&key)?,
        }),
        wire::duty::Duty::Fetch(_) => None,
    };
    duties.duties.into_iter().filter_map(duty).collect()
}

pub fn report_to_wire(report: &Report) -> wire::Report {
    wire::Report {
        duty: report.duty.clone(),
        turn: report.turn,
        outcome: Some(wire::report::Outcome::Probed(wire::Probed {
            good: report.outcome.is_good,
            answered: report.outcome.has_answered,
            message: report.outcome.message.clone(),
        })),
    }
}

/// Those that say what came of a probe.
pub fn reports_from_wire(reports: wire::Reports) -> Vec<Report> {
    let report = |report: wire::Report| match report.outcome? {
        wire::report::Outcome::Probed(probed) => Some(Report {
            duty: report.duty,
            turn: report.turn,
            outcome: Probed {
                is_good: probed.good,
                has_answered: probed.answered,
                message: probed.message,
            },
        }),
        wire::report::Outcome::Status(_)
        | wire::report::Outcome::Document(_)
        | wire::report::Outcome::Error(_) => None,
    };
    reports.reports.into_iter().filter_map(report).collect()
}
