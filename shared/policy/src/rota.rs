//! What an on-call platform says: rotations, users, shifts and views, and what of it was accepted, and when.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bug::Bug;
use crate::id::{RotationId, UserId};
use crate::time::{Span, rfc3339};

/// A user as a platform knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformUser {
    /// The platform's immutable ID.
    pub id: UserId,
    /// The address as the platform has it; only ever a proposal for a first match.
    pub email: Option<String>,
    /// A name for people to read.
    pub name: Option<String>,
    /// Whether the platform says that the account is in use; most platforms do not say.
    pub active: Option<bool>,
}

/// A team on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// The platform's immutable ID.
    pub id: String,
    /// A name for people to read.
    pub name: String,
    /// Its members and, where the platform has it, the role of each in the team.
    pub members: Vec<(UserId, Option<String>)>,
}

/// A rotation as a platform lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The rotation.
    pub id: RotationId,
    /// A name for people to read; never used to find it.
    pub name: String,
    /// An IANA zone for people to read times in.
    pub time_zone: Option<String>,
}

/// Where a shift ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// At this instant.
    At(Timestamp),
    /// The platform names no end, or the window cut it off: it ends when a fresh view stops showing it.
    Open,
}

impl End {
    /// The instant, where there is one.
    #[must_use]
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Open => None,
        }
    }

    /// The instant, or the end of time.
    #[must_use]
    pub fn or_max(self) -> Timestamp {
        self.at().unwrap_or(Timestamp::MAX)
    }
}

/// Why a shift is as it is, where the platform tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The rota's own turn.
    Base,
    /// Somebody replaced somebody.
    Override,
    /// A shift added beside the rota.
    Custom,
    /// The person stands on an escalation policy by name, without a schedule.
    Direct,
    /// The platform does not tell.
    #[default]
    Unknown,
}

/// One user on one rotation over `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shift {
    /// The first instant on call.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: End,
    /// Who is on call; `None` where the platform declares a gap.
    pub user: Option<UserId>,
    /// Why, where the platform tells.
    #[serde(default)]
    pub cause: Cause,
    /// The platform's own ID of it, where there is one. It explains; nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_id: Option<String>,
    /// Who made it (an override), where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<UserId>,
}

impl Shift {
    /// A name that is fit for an address: its rotation, its beginning, and a digest of its user.
    #[must_use]
    pub fn name(&self, rotation: &RotationId) -> String {
        const BYTES: usize = 6;
        let digest = Sha256::digest(self.user.as_ref().map_or("", |user| user.as_str()));
        let user = hex(digest.get(..BYTES).unwrap_or(&digest));
        format!("{rotation}.{}.{user}", self.start.as_millisecond())
    }

    /// The rotation and the beginning of a shift of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<(RotationId, Timestamp)> {
        let mut parts = name.rsplitn(3, '.').skip(1);
        let start = parts.next()?.parse().ok()?;
        Some((parts.next()?.parse().ok()?, Timestamp::from_millisecond(start).ok()?))
    }

    /// What it is known by.
    pub(crate) fn duty(&self) -> Duty<'_> {
        let key = self.native_id.as_deref().filter(|_| Bug::ReasonKeyedByShift.is_chosen());
        (self.start, self.end, self.user.as_ref(), key)
    }

    /// Whether the user is on call at the instant.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end.or_max()
    }

    /// Whether the shift shares an instant with the interval.
    #[must_use]
    pub fn touches(&self, span: &Span) -> bool {
        self.start < span.end && span.start < self.end.or_max()
    }
}

/// Who is on call, and when: what a shift is known by. Its ID, its cause and its maker explain it; they may be learnt
/// late, lost, or change with the platform's version, and change no access.
pub(crate) type Duty<'a> = (Timestamp, End, Option<&'a UserId>, Option<&'a str>);

/// A complete answer of a platform for one rotation over one window. An incomplete answer is an error, never a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The window that was asked for. The view says nothing about what lies outside it.
    pub window: Span,
    /// When the answer was complete.
    pub read_at: Timestamp,
    /// Every shift that touches the window, sorted.
    pub shifts: Vec<Shift>,
}

/// A shift with what we believed of it, and when: it counted as true from `seen` until `gone`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownShift {
    /// The shift.
    pub shift: Shift,
    /// When an accepted view first showed it.
    pub seen: Timestamp,
    /// When an accepted view first did not show it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
    /// How far the view before had spoken when it was first shown: what it says of the time before that is a change of the
    /// forecast. `None` where there was no view before, or where a release wrote it that did not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Timestamp>,
}

/// A shift as if it had always been known.
impl From<Shift> for KnownShift {
    fn from(shift: Shift) -> Self {
        Self { shift, seen: Timestamp::MIN, gone: None, reached: None }
    }
}

impl KnownShift {
    /// Whether it counted as true at the instant `then`, whatever has been learnt since.
    #[must_use]
    pub fn believed_at(&self, then: Timestamp) -> bool {
        self.seen <= then && self.gone.is_none_or(|gone| gone > then)
    }

    /// Whether it counts as true now.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.gone.is_none()
    }
}

/// A digest of what a view says of the window, for noticing that nothing has changed. It leaves out when the view was
/// read, and moves with the window only where a shift enters or leaves it.
#[must_use]
pub fn digest(shifts: &[Shift]) -> String {
    let mut hash = Sha256::new();
    for shift in shifts {
        hash.update(rfc3339(shift.start));
        hash.update(shift.end.at().map_or_else(|| "open".to_owned(), rfc3339));
        hash.update(shift.user.as_ref().map_or("", |user| user.as_str()));
        hash.update([0]);
        if Bug::ReasonKeyedByShift.is_chosen() {
            hash.update(shift.native_id.as_deref().unwrap_or_default());
        }
    }
    hex(&hash.finalize())
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The difference between what stands and what a view says, inside the view's window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Shifts that stand and that the view does not show.
    pub removed: Vec<Shift>,
    /// Shifts that the view shows and that do not stand.
    pub added: Vec<Shift>,
}

impl Difference {
    /// Whether the view says what already stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// A digest that names exactly this difference, for a person who releases or discards it.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(format!("-{}+{}", digest(&self.removed), digest(&self.added))))
    }
}

/// What a view would change. A shift that the window does not touch is not gone: the view says nothing about it. One duty
/// may be explained by several shifts, as where two events of a calendar say the same: it is there with any of them, and
/// gone with all of them.
#[must_use]
pub fn difference(known: &[KnownShift], view: &View) -> Difference {
    let shown: BTreeSet<_> = view.shifts.iter().map(Shift::duty).collect();
    let standing: Vec<&Shift> = known.iter().filter(|k| k.stands()).map(|k| &k.shift).collect();
    let duties: BTreeSet<_> = standing.iter().map(|shift| shift.duty()).collect();
    let gone = |shift: &&&Shift| shift.touches(&view.window) && !shown.contains(&shift.duty());
    let mut removed: Vec<Shift> = standing.iter().filter(gone).map(|shift| (*shift).clone()).collect();
    removed.sort_by(|a, b| a.duty().cmp(&b.duty()));
    if Bug::TwinStays.is_chosen() {
        removed.dedup_by(|a, b| a.duty() == b.duty());
    }
    let added = view.shifts.iter().filter(|shift| !duties.contains(&shift.duty())).cloned().collect();
    Difference { removed, added }
}

/// What is known after a difference was accepted at `now`, where the view before had `reached` so far; `None` where this
/// is the first. What was gone before `forget` is dropped, where it is not part of the past that a report may ask for: a
/// shift that was believed when it ran stays.
#[must_use]
pub fn accept(
    known: &[KnownShift],
    change: &Difference,
    reached: Option<Timestamp>,
    now: Timestamp,
    forget: Timestamp,
) -> Vec<KnownShift> {
    let removed: BTreeSet<&Shift> = change.removed.iter().collect();
    let mut next: Vec<KnownShift> = known
        .iter()
        .filter(|k| k.gone.is_none_or(|gone| gone > forget || gone > k.shift.start))
        .map(|k| {
            let mut k = k.clone();
            if k.stands() && removed.contains(&k.shift) {
                k.gone = Some(now);
            }
            k
        })
        .collect();
    let shown = |shift: &Shift| KnownShift { shift: shift.clone(), seen: now, gone: None, reached };
    next.extend(change.added.iter().map(shown));
    next.sort_by(|a, b| (&a.shift, a.seen).cmp(&(&b.shift, b.seen)));
    next
}

/// The users whom the shifts name, each once.
pub fn users<'a>(shifts: impl IntoIterator<Item = &'a Shift>) -> BTreeSet<&'a UserId> {
    shifts.into_iter().filter_map(|shift| shift.user.as_ref()).collect()
}
