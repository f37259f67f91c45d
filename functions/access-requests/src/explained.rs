//! The shifts that explain coverage.

use std::collections::BTreeMap;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_policy::enrollment::Origin;
use dutykey_policy::id::RotationId;
use dutykey_policy::identity::Person;
use dutykey_policy::rota::{KnownShift, Shift};
use dutykey_policy::time::Span;
use dutykey_policy::wants::Reason;
use dutykey_store::Store;

/// Shifts by rotation, over the time of some reasons.
#[derive(Debug, Clone, Default)]
pub struct Shifts(BTreeMap<RotationId, Vec<KnownShift>>);

/// The shifts that explain these reasons: one query for each rotation, however many reasons it gives.
///
/// # Errors
/// The table cannot be used.
pub async fn explaining<'a>(
    store: &Store,
    reasons: impl IntoIterator<Item = &'a Reason>,
) -> Result<Shifts, StoreError> {
    let mut spans: BTreeMap<&RotationId, Span> = BTreeMap::new();
    for reason in reasons {
        let (Origin::Coverage(rotation), Some(span)) = (&reason.origin, Span::new(reason.from, reason.until)) else {
            continue;
        };
        let whole = spans.entry(rotation).or_insert(span);
        *whole = Span { start: whole.start.min(span.start), end: whole.end.max(span.end) };
    }
    let mut shifts = Shifts::default();
    for (rotation, span) in spans {
        shifts.0.insert(rotation.clone(), store.known(rotation, span).await?);
    }
    Ok(shifts)
}

impl Shifts {
    /// The person's first shift in a reason's coverage; one that still stands, where there is one.
    #[must_use]
    pub fn of(&self, person: &Person, reason: &Reason) -> Option<&Shift> {
        let Origin::Coverage(rotation) = &reason.origin else { return None };
        let span = Span::new(reason.from, reason.until)?;
        let user = person.users.get(&rotation.source)?;
        let theirs = self.0.get(rotation)?.iter().filter(|known| known.shift.user.as_ref() == Some(user));
        let touching = theirs.filter(|known| known.shift.touches(&span));
        touching.min_by_key(|known| (!known.stands(), known.shift.start)).map(|known| &known.shift)
    }
}
