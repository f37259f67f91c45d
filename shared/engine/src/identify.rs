//! A person's accounts: looked up once by address, pinned by ID, and shown where there is doubt.

use dutykey_policy::evidence::Draft;
use dutykey_policy::id::{AccountId, AppId};
use dutykey_policy::identity::{Account, Doubt, Person};
use dutykey_policy::installation::Topic;
use dutykey_policy::look::Due;
use dutykey_policy::retry::{HOURLY, look_up_again};
use dutykey_policy::time::{later, rfc3339};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::directory::Finding;
use crate::due::soonest;
use crate::look::Worker;
use crate::ports::ledger::{Claim, Committed, LivePerson, Notice, PersonChange, StoreError};
use crate::ports::target::{Resolved, TargetError};
use crate::ports::witness::Event;
use crate::snapshot::Snapshot;

impl Worker {
    /// Looks up the accounts that are needed and whether the person is active, and pins what was found.
    pub(crate) async fn identify(
        &self,
        live: &LivePerson,
        snapshot: &Snapshot,
        apps: Vec<AppId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut person = live.person.clone();
        let mut claims = Vec::new();
        for app in apps {
            let found = self.account(&person, &app, snapshot, now).await;
            if let Account::Linked(account) = &found {
                claims.push(Claim { app: app.clone(), account: account.clone(), from: None });
            }
            person.accounts.insert(app, found);
        }
        let finding = self.find_active(live, &mut person, snapshot, now).await?;
        match self.write_identity(live, person.clone(), claims.clone(), &finding, now).await? {
            Committed::Done(_) => Ok(()),
            Committed::Claimed(taken) => {
                let mut left = Vec::new();
                for claim in claims {
                    match taken.contains(&claim.app) {
                        false => left.push(claim),
                        true => match self.refused(&claim, now).await? {
                            Ok(claim) => left.push(claim),
                            Err(doubt) => drop(person.accounts.insert(claim.app, doubt)),
                        },
                    }
                }
                self.write_identity(live, person, left, &finding, now).await.map(|_| ())
            }
        }
    }

    /// What becomes of a claim of an account that is somebody else's: the first claim stays, and this one is in doubt.
    ///
    /// Somebody who is left over from before a restore gives it up, but only once nothing that they hold in it is left.
    /// Before, there would be two holds of one place: the second would take for standing what the first has put there, and
    /// the first would take from under the second what is theirs.
    async fn refused(&self, claim: &Claim, now: Timestamp) -> Result<Result<Claim, Account>, StoreError> {
        let owner = match self.ledger.owner(&claim.app, &claim.account).await? {
            Some(owner) => self.ledger.load(&owner).await?,
            None => None,
        };
        let Some(owner) = owner.filter(LivePerson::is_left_over) else {
            return Ok(Err(doubtful(Doubt::Ambiguous, now)));
        };
        if owner.may_hold_in(&claim.app, &claim.account) {
            let [chance, ..] = self.chance.bytes();
            let again = later(now, look_up_again(None, chance));
            return Ok(Err(Account::Doubtful { doubt: Doubt::Ambiguous, again }));
        }
        Ok(Ok(Claim { from: Some(owner.person.id), ..claim.clone() }))
    }

    async fn account(&self, person: &Person, app: &AppId, snapshot: &Snapshot, now: Timestamp) -> Account {
        let Some(address) = &person.email else { return doubtful(Doubt::Unmatched, now) };
        let said = snapshot.installation.links.iter().find(|link| link.person.eq_ignore_ascii_case(address));
        if let Some(id) = said.and_then(|link| link.apps.get(app)) {
            return id.parse::<AccountId>().map_or_else(|_| doubtful(Doubt::Unmatched, now), Account::Linked);
        }
        let [chance, ..] = self.chance.bytes();
        // The app could not say: nothing but the time of the next question follows.
        let again =
            |asked| Account::Doubtful { doubt: Doubt::Unmatched, again: later(now, look_up_again(asked, chance)) };
        let Some(target) = snapshot.target(app) else { return again(None) };
        match target.resolve(address).await {
            Ok(Resolved::Account(account)) => Account::Linked(account),
            Ok(Resolved::Doubt(doubt)) => doubtful(doubt, now),
            Err(TargetError::Throttled { after: Some(after), .. }) => again(Some(after)),
            Err(error) => {
                tracing::warn!(app.id = %app, error = %error, "`{app}` cannot say whose account it is");
                again(None)
            }
        }
    }

    async fn write_identity(
        &self,
        live: &LivePerson,
        person: Person,
        claims: Vec<Claim>,
        finding: &Finding,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let mut evidence = Vec::new();
        let mut notices = finding.notices.clone();
        for (app, account) in &person.accounts {
            let before = live.person.accounts.get(app);
            if kind(before) == kind(Some(account)) {
                continue;
            }
            evidence.push(draft(self.actor, live, "account", json!({"app": app}), kind(before), kind(Some(account))));
            if let Account::Doubtful { doubt, .. } = account {
                let id = format!("{}/{app}/{doubt}", live.person.id);
                let text = format!(
                    "{} has no account in `{app}` that access can go to: {doubt}. Link it, or correct the address.",
                    live.person.id
                );
                notices.push(Notice::new(id, Topic::Unmatched, text, now));
            }
        }
        if live.person.active != person.active {
            evidence.push(draft(
                self.actor,
                live,
                "active",
                Value::Null,
                json!(live.person.active),
                json!(person.active),
            ));
        }
        if live.person.held_since != person.held_since {
            let held = |since: Option<Timestamp>| json!(since.map(rfc3339));
            let (before, after) = (held(live.person.held_since), held(person.held_since));
            evidence.push(draft(self.actor, live, "held", Value::Null, before, after));
        }
        let due = Some(Due { at: now, cause: "account".to_owned() });
        let change = PersonChange {
            identity: Some(person.clone()),
            claims,
            roll: finding.roll.clone(),
            evidence,
            notices,
            next_end: if person.active == live.person.active {
                live.head.next_end.clone()
            } else {
                soonest(live.head.next_end.clone(), due)
            },
            ..PersonChange::nothing(live, now)
        };
        let committed = self.ledger.commit(&change).await?;
        if let Committed::Done(head) = &committed {
            for (app, account) in &person.accounts {
                if kind(live.person.accounts.get(app)) != kind(Some(account)) {
                    let doubt = match account {
                        Account::Linked(_) => None,
                        Account::Doubtful { doubt, .. } => Some(*doubt),
                    };
                    self.witness.saw(&Event::Account { person: person.id.clone(), app: app.clone(), doubt });
                }
            }
            self.announce(&person.id, &live.head, head, now).await;
        }
        Ok(committed)
    }
}

fn doubtful(doubt: Doubt, now: Timestamp) -> Account {
    Account::Doubtful { doubt, again: later(now, HOURLY) }
}

/// An account without the time at which it is looked at again.
fn kind(account: Option<&Account>) -> Value {
    match account {
        None => Value::Null,
        Some(Account::Linked(account)) => json!({"linked": account}),
        Some(Account::Doubtful { doubt, .. }) => json!({"doubtful": doubt}),
    }
}

fn draft(actor: &str, live: &LivePerson, what: &str, why: Value, before: Value, after: Value) -> Draft {
    let subject = json!({"person": live.person.id});
    Draft { act: format!("person.{what}"), actor: actor.to_owned(), subject, before, after, why }
}
