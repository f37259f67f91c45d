//! The table is put back to a backup while people hold access, and what is done about it, as the README says: it stands
//! still, gets what it lacks of the copy of its evidence, the configuration is applied again, rotas are read, and then
//! it is let go on.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::rota::RotationHead;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::ports::summary::ReadSummary as _;
use dutykey_policy::evidence::Chain;
use dutykey_policy::evidence::copies::Copies;
use dutykey_store::keys::{PK, SK};
use dutykey_store::{Against, MAX_PAGE, Recovered};
use jiff::Timestamp;

use super::Course;
use crate::plan::{Happening, Plan, Second};
use crate::world::table::{self, TABLE};

/// Why the table stands still.
const WHY: &str = "the table was restored from a backup";
/// Who lets it go on.
const ACTOR: &str = "an administrator";
/// So long after the restore somebody first asks whether it may go on.
const FIRST: Second = 120;
/// They ask so often.
const AGAIN: Second = 60;

type Item = HashMap<String, AttributeValue>;
/// The items of the table, by their keys.
type Items = BTreeMap<(String, String), Item>;

/// How far a restore is.
#[derive(Debug)]
pub(super) enum Stage {
    /// There is a backup.
    Backup(Items),
    /// The table was put back, and stands still.
    StandingStill,
    /// It goes on.
    Over,
}

/// The copy of one chain.
struct Copied {
    chain: Chain,
    /// Its records, in the items in which they lie.
    items: Vec<Vec<String>>,
}

/// When something is done for restores: the backup is taken, the table is put back, somebody asks whether it may go on.
pub(super) fn events(plan: &Plan) -> Vec<(Timestamp, Happening)> {
    let mut events = Vec::new();
    for happening in &plan.happens {
        let Happening::Restored { backup, at, lasts } = happening else { continue };
        let latest = at.saturating_add(*lasts);
        let mut asks = at.saturating_add(FIRST);
        let mut seconds = vec![*backup, *at];
        while asks < latest {
            seconds.push(asks);
            asks = asks.saturating_add(AGAIN);
        }
        seconds.push(latest);
        events.extend(seconds.into_iter().map(|second| (plan.at(second), happening.clone())));
    }
    events
}

impl Course {
    /// The next thing that is done for a restore.
    pub(super) async fn restore(&mut self, happening: &Happening) -> anyhow::Result<()> {
        let Happening::Restored { backup, at, lasts } = *happening else { return Ok(()) };
        let taken = self.plan().at(backup);
        let latest = self.plan().at(at.saturating_add(lasts));
        let next = match self.restores.remove(&(backup, at)) {
            None => {
                self.world.tell(|| "a backup of the table is taken".to_owned());
                Stage::Backup(self.items().await?)
            }
            Some(Stage::Backup(items)) => {
                self.put_back(items, taken, latest).await?;
                Stage::StandingStill
            }
            Some(Stage::StandingStill) => {
                if self.goes_on(latest).await? {
                    Stage::Over
                } else {
                    Stage::StandingStill
                }
            }
            Some(Stage::Over) => Stage::Over,
        };
        self.restores.insert((backup, at), next);
        Ok(())
    }

    /// The table becomes what it was, and is rebuilt: nothing else happens meanwhile.
    async fn put_back(&mut self, items: Items, taken: Timestamp, latest: Timestamp) -> anyhow::Result<()> {
        let (world, now) = (self.world.clone(), self.world.now());
        world.tell(|| "the table is put back to its backup".to_owned());
        world.struck("table: restored from a backup");
        // Nobody is at work meanwhile, and nobody remembers what was in the table before.
        self.deploy();
        let copied = self.copied().await?;
        self.replace(items).await?;
        self.ledger = table::store(&self.ground.embedded, &world, false);
        self.ledger.stand_still(WHY, now).await?;
        self.rebuild(&copied, now).await?;
        self.ledger.rebuilt(WHY, now).await?;
        let records = copied.into_values().flat_map(|copied| copied.items).flatten().collect();
        world.oracle().restored(taken, now, latest, records);
        // What evidence does not hold is applied again; without a change since nothing is.
        let version = self.ledger.installation().await?.map_or(0, |configured| configured.version);
        if version != self.version {
            self.version = version;
            self.configure().await?;
        }
        world.point("a restored table").await;
        Ok(())
    }

    /// The table gets what it lacks of the copy.
    async fn rebuild(&self, copied: &BTreeMap<String, Copied>, now: Timestamp) -> anyhow::Result<()> {
        let mut copies = Copies::default();
        for line in copied.values().flat_map(|copied| &copied.items).flatten() {
            copies.line(line).context("the copy of the evidence")?;
        }
        let heads: BTreeMap<String, _> = copies.heads().map(|(name, head)| (name.to_owned(), head)).collect();
        for (name, Copied { chain, items }) in copied {
            let Some(head) = heads.get(name) else { continue };
            match self.ledger.against(chain, head, &copies).await? {
                Against::Whole => {}
                Against::Differs(seq) => {
                    let what = format!("after a restore {name} went another way than its copy, at record {seq}");
                    self.world.oracle().violated("P9", now, what);
                }
                Against::Behind(end) => {
                    for Recovered { copy, met, .. } in self.ledger.rebuild(chain, &end, items, now).await?.0 {
                        let met = if met { "" } else { ", whom the backup does not know" };
                        self.world.struck("table: a hold is rebuilt");
                        let (person, state) = (&copy.person, copy.state);
                        self.world.tell(|| format!("{} of {person}{met} is rebuilt: {state:?}", copy.key));
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets the table go on, where every rota was read since, or it is too late to wait for one; whether it does.
    async fn goes_on(&self, latest: Timestamp) -> anyhow::Result<bool> {
        let now = self.world.now();
        let Some(standstill) = self.ledger.pulse().await?.standstill else { return Ok(true) };
        let waits = self.unplanned(standstill.since).await?;
        if waits && now < latest {
            return Ok(false);
        }
        self.ledger.release(ACTOR, now).await?;
        self.world.tell(|| format!("the restored table goes on{}", if waits { " without every rota" } else { "" }));
        if waits {
            self.world.struck("table: goes on without every rota");
        }
        self.world.oracle().released(now);
        self.world.point("a restored table").await;
        Ok(true)
    }

    /// Whether a rotation does not count as it is now: it was not read since, or not planned, or the brake holds some of
    /// it.
    async fn unplanned(&self, since: Timestamp) -> anyhow::Result<bool> {
        let (followed, _) = self.ledger.followed().await?;
        let waits = |head: &RotationHead| {
            let unread = head.fresh_at.is_none_or(|at| at < since);
            let held = head.held.as_ref().is_some_and(|held| !held.discarded);
            unread || held || head.planned.is_empty() || !head.planned.starts_with(&head.accepted)
        };
        Ok(followed.iter().flat_map(|followed| &followed.rotations).any(waits))
    }

    /// Everything in the table.
    async fn items(&self) -> anyhow::Result<Items> {
        let (mut items, mut from) = (Items::new(), None);
        loop {
            let scan = self.client.scan().table_name(TABLE).consistent_read(true).set_exclusive_start_key(from);
            let page = scan.send().await.context("a backup of the table")?;
            for item in page.items.unwrap_or_default() {
                let part = |name: &str| item.get(name).and_then(|part| part.as_s().ok()).cloned();
                let key = part(PK).zip(part(SK)).context("an item of the table has no key")?;
                items.insert(key, item);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    /// Makes these the items of the table. Most of them are already.
    async fn replace(&self, items: Items) -> anyhow::Result<()> {
        let there = self.items().await?;
        for (pk, sk) in there.keys().filter(|key| !items.contains_key(*key)) {
            let request = self.client.delete_item().table_name(TABLE);
            let request = request.key(PK, AttributeValue::S(pk.clone())).key(SK, AttributeValue::S(sk.clone()));
            request.send().await.context("an item that the backup does not have")?;
        }
        for (key, item) in items {
            if there.get(&key) != Some(&item) {
                let request = self.client.put_item().table_name(TABLE).set_item(Some(item));
                request.send().await.context("an item of the backup")?;
            }
        }
        Ok(())
    }

    /// The copy of the evidence as it is now, by the names of the chains.
    async fn copied(&self) -> anyhow::Result<BTreeMap<String, Copied>> {
        let (mut copied, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = self.ledger.list_chain_heads(cursor.as_ref(), MAX_PAGE).await?;
            for (chain, head) in page.items {
                let (mut items, mut last) = (Vec::new(), 0);
                while last < head.seq {
                    let found = self.ledger.evidence_items(&chain, last + 1, MAX_PAGE).await?;
                    anyhow::ensure!(!found.is_empty(), "the table lacks record {} of {chain}", last + 1);
                    for item in found {
                        last = item.last();
                        items.push(item.lines.into_iter().map(|line| line.line).collect());
                    }
                }
                copied.insert(chain.to_string(), Copied { chain, items });
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(copied);
            }
        }
    }
}
