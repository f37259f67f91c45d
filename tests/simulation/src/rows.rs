//! The ways in which such systems fail in production, and whether a run has met them.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Happening, Plan};

/// The rows of failures, as `tests/README.md` numbers them.
pub const ROWS: [&str; 11] = [
    "a revocation fails, or is accepted and never completes",
    "two reasons overlap and the first end takes it all",
    "standing access is stripped, or a former role lost",
    "conflicts and throttling where many hand over at once",
    "too late at the start, too early, or too long after the end",
    "a platform empties, changes its answer or dies",
    "the wrong person, or nobody, behind an address",
    "overrides, gaps, several at once, shifts without an end",
    "a crash, an upgrade, a duplicate or a lost message",
    "gone on paper, and others put it back",
    "a table restored from a backup, which forgets what was granted since",
];

/// The numbers of the rows that a run has met, from 1.
#[must_use]
pub fn met(plan: &Plan, counts: &BTreeMap<String, u64>, effects: usize) -> BTreeSet<usize> {
    let struck = |words: &[&str]| counts.keys().any(|kind| words.iter().any(|word| kind.contains(word)));
    let app = |kinds: &[&str]| {
        plan.happens
            .iter()
            .any(|happening| matches!(happening, Happening::App(fault) if kinds.contains(&fault.kind.as_str())))
    };
    let giving =
        |what: &crate::plan::Gives| plan.profiles.iter().filter(|profile| profile.gives.contains(what)).count();
    let standing =
        plan.apps.iter().any(|app| !app.values.is_empty() || app.groups.iter().any(|group| !group.members.is_empty()));
    let shifts = || plan.rotations.iter().flat_map(|rotation| &rotation.shifts);
    let plain = |number: usize, human: &crate::plan::Human| {
        human.active && human.accounts.len() == 1 && human.address == format!("p{number:03}@example.com")
    };
    let rows = [
        app(&["fail", "lie", "late_failure", "lost_before", "lost_after", "permanent", "slow"]),
        plan.profiles
            .iter()
            .any(|profile| profile.rotations.len() > 1 || profile.gives.iter().any(|what| giving(what) > 1)),
        standing && effects > 0,
        app(&["conflict", "throttled"])
            || struck(&["conflict", "throttled"])
            || plan.apps.iter().any(|app| app.limit.is_some()),
        effects > 0,
        struck(&["platform"]),
        plan.people.iter().enumerate().any(|(number, human)| !plain(number, human)) || !plan.links.is_empty(),
        shifts().any(|shift| shift.user.is_none() || shift.to.is_none())
            || plan.rotations.iter().any(|rotation| !rotation.overrides.is_empty()),
        struck(&["crash", "queue"])
            || plan
                .happens
                .iter()
                .any(|happening| matches!(happening, Happening::Deploy { .. } | Happening::RolledBack { .. })),
        struck(&["others"]),
        struck(&["restored"]),
    ];
    rows.iter().enumerate().filter(|(_, met)| **met).map(|(row, _)| row + 1).collect()
}
