//! Cases that are not carried out here, each by its name.

/// Why, and which.
pub const LEFT_OUT: &[(&str, &[&str])] = &[
    (
        "the reverse proxy for workloads does not listen yet",
        &[
            "REV-001", "REV-002", "REV-003", "REV-006", "REV-007", "REV-008", "REV-009", "REV-010",
            "REV-011", "REV-012", "REV-014", "REV-015", "REV-016", "REV-017", "REV-019", "REV-020",
            "REV-022", "REV-023", "REV-024", "REV-025",
        ],
    ),
    (
        "the forward proxy does not listen yet",
        &[
            "FWD-001", "FWD-003", "FWD-004", "FWD-006", "FWD-007", "FWD-009", "FWD-010", "FWD-011",
            "FWD-012", "FWD-015", "FWD-016", "FWD-017", "FWD-018", "FWD-022", "FWD-023",
        ],
    ),
    (
        "nothing that is done from outside holds SecretReady at Unknown",
        &["CND-003"],
    ),
    (
        "a condition that was not written yet is there for too short a time to be seen",
        &["CND-007"],
    ),
];
