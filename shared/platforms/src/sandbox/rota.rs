//! One rotation of the simulated platform: what it shows of a window at an instant.

use std::time::Duration;

use dutykey_engine::ports::platform::PlatformError;
use dutykey_policy::id::UserId;
use dutykey_policy::rota::{Cause, End, Shift};
use dutykey_policy::time::{Span, later, millis_between};
use jiff::Timestamp;

/// The most turns in one answer.
const MAX_TURNS: i64 = 50_000;

/// Somebody replaces whoever is on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Who is on call instead.
    pub user: UserId,
    /// When.
    pub span: Span,
    /// Who made it.
    pub by: Option<UserId>,
    /// Whom it replaces; everybody where absent.
    pub replaces: Option<UserId>,
    /// When reads show it.
    pub shown: Shown,
}

/// Over which time reads show something, whatever time it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// From then on.
    pub from: Timestamp,
    /// Not any more from then on.
    pub until: Timestamp,
}

impl Shown {
    /// At every time.
    pub const ALWAYS: Self = Self { from: Timestamp::MIN, until: Timestamp::MAX };

    /// From then on.
    #[must_use]
    pub fn from(from: Timestamp) -> Self {
        Self { from, until: Timestamp::MAX }
    }

    fn at(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// People who take turns of equal length.
#[derive(Debug)]
pub(super) struct Turns {
    /// In their order, again and again; a gap is declared where there is nobody.
    pub users: Vec<Option<UserId>>,
    /// How long a turn is; at least a second.
    pub every: Duration,
    /// When the first turn begins.
    pub from: Timestamp,
    /// When the last one ends, cut short where it has to be.
    pub until: Timestamp,
}

/// All that is said of one rotation.
#[derive(Debug)]
pub(super) struct Rota {
    /// The rotation's own ID, for the IDs of its shifts.
    pub id: String,
    /// Turns, where there are any.
    pub turns: Option<Turns>,
    /// Single shifts.
    pub shifts: Vec<(Shift, Shown)>,
    /// Overrides; each is laid over those before it.
    pub overrides: Vec<Override>,
}

impl Rota {
    /// Every shift that touches the window, as a read shows it that arrives at `at`.
    pub(super) fn shifts(&self, window: Span, at: Timestamp) -> Result<Vec<Shift>, PlatformError> {
        let mut shifts = self.turns(&window)?;
        shifts.extend(self.shifts.iter().filter(|(_, shown)| shown.at(at)).map(|(shift, _)| shift.clone()));
        for (number, laid) in self.overrides.iter().enumerate().filter(|(_, laid)| laid.shown.at(at)) {
            shifts = shifts.into_iter().flat_map(|shift| uncovered(shift, laid)).collect();
            shifts.push(Shift {
                start: laid.span.start,
                end: End::At(laid.span.end),
                user: Some(laid.user.clone()),
                cause: Cause::Override,
                native_id: Some(format!("{}/override/{number}", self.id)),
                maker: laid.by.clone(),
            });
        }
        // Only now: an override outside the window still ends or begins what touches it.
        shifts.retain(|shift| shift.touches(&window));
        shifts.sort_unstable();
        Ok(shifts)
    }

    fn turns(&self, window: &Span) -> Result<Vec<Shift>, PlatformError> {
        let Some(turns) = &self.turns else { return Ok(Vec::new()) };
        let (from, to) = (window.start.max(turns.from), window.end.min(turns.until));
        if from >= to {
            return Ok(Vec::new());
        }
        let every = i64::try_from(turns.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let (first, last) = (millis_between(turns.from, from) / every, millis_between(turns.from, to) / every);
        if last - first > MAX_TURNS {
            let id = &self.id;
            return Err(PlatformError::Misconfigured(format!(
                "rotation `{id}` of the sandbox has more than {MAX_TURNS} turns in the window; make them longer, or give \
                 `until`"
            )));
        }
        let turn = |number: i64| {
            let user = turns.users.get(usize::try_from(number).ok()?.checked_rem(turns.users.len())?)?;
            let start = later(turns.from, Duration::from_millis(u64::try_from(number.checked_mul(every)?).ok()?));
            Some(Shift {
                start,
                end: End::At(later(start, turns.every).min(turns.until)),
                user: user.clone(),
                cause: Cause::Base,
                native_id: Some(format!("{}/turn/{number}", self.id)),
                maker: None,
            })
        };
        Ok((first..=last).filter_map(turn).filter(|shift| shift.start < to).collect())
    }
}

/// What is left of a shift under an override: all of it, the parts before and after, or nothing.
fn uncovered(shift: Shift, laid: &Override) -> Vec<Shift> {
    let replaced = laid.replaces.as_ref().is_none_or(|user| shift.user.as_ref() == Some(user));
    if !replaced || !shift.touches(&laid.span) {
        return vec![shift];
    }
    let before = (shift.start < laid.span.start).then(|| Shift { end: End::At(laid.span.start), ..shift.clone() });
    let after = (laid.span.end < shift.end.or_max()).then_some(Shift { start: laid.span.end, ..shift });
    before.into_iter().chain(after).collect()
}

/// Hides what a platform that knows no overrides does not tell.
pub(super) fn hide(shift: &mut Shift) {
    shift.cause = Cause::Unknown;
    shift.maker = None;
}
