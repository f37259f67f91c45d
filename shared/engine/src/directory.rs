//! Whether a person is active, by the one app or source that says so, and what becomes of those whom it shows inactive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::evidence::Draft;
use dutykey_policy::id::{AccountId, AppId, PersonId, SourceId, UserId};
use dutykey_policy::identity::{Account, Doubt, Person};
use dutykey_policy::installation::Topic;
use dutykey_policy::roll::{Census, Roll, SAMPLE, Verdict, Word};
use dutykey_policy::time::{earlier, later, rfc3339};
use dutykey_policy::wants::READINESS;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::look::Worker;
use crate::ports::ledger::{LivePerson, Notice, StoreError};
use crate::ports::roll::RollChange;
use crate::ports::rota::Directory;
use crate::ports::target::Target;
use crate::snapshot::Snapshot;

/// What the directory is asked about a person.
enum Asked {
    Account(Arc<dyn Target>, AccountId),
    User(SourceId, UserId),
    /// The look-up of the account has shown already that it is not in use.
    NotInUse,
}

/// What the directory has said of a person, and what is to be written of it.
pub(crate) struct Finding {
    pub(crate) roll: Option<RollChange>,
    pub(crate) notices: Vec<Notice>,
}

/// The app that says who is active, where an app does.
pub(crate) fn directory_app(snapshot: &Snapshot) -> Option<AppId> {
    let directory = snapshot.installation.directory.as_deref()?;
    snapshot.installation.apps.iter().find(|app| app.id.as_str() == directory).map(|app| app.id.clone())
}

fn asked(person: &Person, snapshot: &Snapshot) -> Option<Asked> {
    let directory = snapshot.installation.directory.as_deref()?;
    if let Some(app) = directory_app(snapshot) {
        return match person.accounts.get(&app)? {
            Account::Linked(account) => Some(Asked::Account(snapshot.target(&app)?.clone(), account.clone())),
            Account::Doubtful { doubt: Doubt::Inactive, .. } => Some(Asked::NotInUse),
            Account::Doubtful { .. } => None,
        };
    }
    let (source, user) = person.users.iter().find(|(source, _)| source.as_str() == directory)?;
    Some(Asked::User(source.clone(), user.clone()))
}

/// When something of the person's begins or began that is not over.
fn begins(live: &LivePerson, now: Timestamp) -> Option<Timestamp> {
    let periods = live.enrollments.iter().flat_map(|enrollment| &enrollment.periods);
    periods.filter(|period| period.until.or_max() > now).map(|period| period.from).min()
}

/// When the directory must be asked whether the person is active: while they hold something, from a little before they
/// are to, and at once when the brake no longer holds them.
pub(crate) fn due(live: &LivePerson, snapshot: &Snapshot, now: Timestamp) -> Option<Timestamp> {
    let person = &live.person;
    let every = snapshot.installation.sync.directory_every;
    let needed = if live.holds.is_empty() { begins(live, now)? } else { now };
    if asked(person, snapshot).is_none() {
        // Whose account there is in doubt, or was never looked up.
        return match person.accounts.get(&directory_app(snapshot)?) {
            Some(Account::Linked(_)) => None,
            Some(Account::Doubtful { again, .. }) => Some((*again).max(earlier(needed, READINESS))),
            None => Some(earlier(needed, READINESS).max(now)),
        };
    }
    let again = person.active_at.map_or(now, |at| later(at, every));
    // Not when it begins, so that asking delays nothing.
    let again = if live.holds.is_empty() { again.max(earlier(needed, every / 2)) } else { again };
    let let_go = person.held_since.and_then(|since| until(since, person, snapshot));
    Some(let_go.map_or(again, |at| at.min(again)))
}

/// Until when the brake holds the person; `None` for as long as the directory shows them inactive.
fn until(since: Timestamp, person: &Person, snapshot: &Snapshot) -> Option<Timestamp> {
    match snapshot.roll().and_then(|roll| roll.word(&person.id)) {
        Some(Word::Released) => Some(since),
        Some(Word::Discarded) => None,
        Some(Word::Waiting) | None => Some(later(since, snapshot.lease())),
    }
}

impl Worker {
    /// Asks the directory whether the person is active, and judges what it shows.
    pub(crate) async fn find_active(
        &self,
        live: &LivePerson,
        person: &mut Person,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Finding, StoreError> {
        let mut finding = Finding { roll: None, notices: Vec::new() };
        let (Some(asked), Some(directory)) = (asked(person, snapshot), &snapshot.installation.directory) else {
            return Ok(finding);
        };
        person.active_at = Some(now);
        let users = self.users(&asked).await?;
        let shown = is_active(&asked, users.as_ref()).await;
        let over = person.held_since.map(|since| until(since, person, snapshot).is_some_and(|until| until <= now));
        let active = match (shown, over) {
            (Some(true), None) if person.active != Some(false) => {
                person.active = Some(true);
                return Ok(finding);
            }
            (Some(true), _) => Some(true),
            // What waited is over: its last answer counts, if there is no other.
            (_, Some(true)) => Some(false),
            (None, _) | (Some(false), Some(false)) => return Ok(finding),
            (Some(false), None) if person.active == Some(false) => return Ok(finding),
            (Some(false), None) => Some(false),
        };
        let mut roll = self.ledger.roll(directory).await?;
        let before = roll.clone();
        let mut evidence = Vec::new();
        let first = person.active.is_none() && live.holds.is_empty();
        if active == Some(false) && over.is_none() && !first {
            let (others, census) = self.census(&roll, &person.id, snapshot, users.as_ref(), now).await?;
            let verdict = roll.found(&person.id, &others, census, now);
            if verdict == Verdict::Trips {
                let (record, notice) = tripped(self.actor, directory, &roll, &others, snapshot.lease(), now);
                evidence.push(record);
                finding.notices.push(notice);
            }
            if verdict != Verdict::Gone {
                person.held_since = Some(now);
            }
        } else {
            roll.settled(&person.id);
            person.held_since = None;
        }
        if person.held_since.is_none() {
            person.active = active;
        }
        finding.roll = (roll != before).then(|| RollChange { directory: directory.clone(), roll, evidence });
        Ok(finding)
    }

    /// The users of the source that is asked.
    async fn users(&self, asked: &Asked) -> Result<Option<Directory>, StoreError> {
        match asked {
            Asked::Account(..) | Asked::NotInUse => Ok(None),
            Asked::User(source, _) => self.rota.directory(source).await.map(Some),
        }
    }

    /// Those whom the directory knew as active, and what it says now of some of them.
    async fn census(
        &self,
        roll: &Roll,
        person: &PersonId,
        snapshot: &Snapshot,
        users: Option<&Directory>,
        now: Timestamp,
    ) -> Result<(BTreeSet<PersonId>, Census), StoreError> {
        let since = earlier(now, snapshot.installation.sync.directory_every * 2);
        let mut others = self.ledger.active_since(since).await?;
        others.retain(|other| other != person && roll.word(other).is_none());
        let mut census = Census { others: others.len(), answered: 0, inactive: 0 };
        if roll.brakes(now) {
            return Ok((others, census));
        }
        let [byte, ..] = self.chance.bytes();
        let sample: Vec<PersonId> = (0..SAMPLE.min(others.len()))
            .map(|n| (n * others.len() / SAMPLE.min(others.len()) + usize::from(byte)) % others.len())
            .filter_map(|place| others.iter().nth(place).cloned())
            .collect();
        let known = self.ledger.persons(&sample).await?;
        let asked: Vec<Asked> = known.values().filter_map(|other| asked(other, snapshot)).collect();
        for active in join_all(asked.iter().map(|asked| is_active(asked, users))).await.into_iter().flatten() {
            census.answered += 1;
            census.inactive += usize::from(!active);
        }
        Ok((others, census))
    }
}

/// What the directory shows; `None` where it cannot say. Whom it does not have is not active.
async fn is_active(asked: &Asked, users: Option<&Directory>) -> Option<bool> {
    match asked {
        Asked::Account(target, account) => match target.is_active(account).await {
            Ok(active) => Some(active == Some(true)),
            Err(error) => {
                tracing::warn!(error = %error, "the directory cannot say who is active: {error}");
                None
            }
        },
        Asked::NotInUse => Some(false),
        Asked::User(_, user) => {
            let users = users.filter(|users| users.read_at.is_some())?;
            Some(users.users.iter().any(|known| known.id == *user && known.active != Some(false)))
        }
    }
}

/// The evidence of a brake that begins to hold, and whom to tell.
fn tripped(
    actor: &str,
    directory: &str,
    roll: &Roll,
    others: &BTreeSet<PersonId>,
    lease: Duration,
    now: Timestamp,
) -> (Draft, Notice) {
    let digest = roll.group(Word::Waiting).map(|(digest, _)| digest).unwrap_or_default();
    let why = format!("it shows more than half of {} people inactive within an hour", others.len() + 1);
    let record = Draft {
        act: "brake.held".to_owned(),
        actor: actor.to_owned(),
        subject: json!({ "directory": directory }),
        before: Value::Null,
        after: json!({ "digest": digest }),
        why: json!({ "why": why }),
    };
    let text = format!(
        "the brake holds whom the directory `{directory}` shows inactive: {why}. They stay active until {} at most. Look \
         at them with `dutykey brake list`, then release or discard them; the first is {digest}.",
        rfc3339(later(now, lease))
    );
    let id = format!("brake/directory/{directory}/{}", rfc3339(now));
    (record, Notice::new(id, Topic::Brake, text, now))
}
