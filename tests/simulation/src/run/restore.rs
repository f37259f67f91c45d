//! The table is put back to a backup while people hold access, and what is done about it, as the README says: it stands
//! still, gets what it lacks of the copy of its evidence, the configuration is applied again, rotas are read, and then
//! it is let go on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::ports::summary::ReadSummary as _;
use dutykey_policy::evidence::Chain;
use dutykey_policy::evidence::copies::Copies;
use dutykey_policy::id::{SourceId, UserId};
use dutykey_store::keys::{self, PK, SK};
use dutykey_store::{Against, MAX_PAGE, Recovered};
use jiff::Timestamp;

use super::Course;
use crate::plan::{Happening, Plan, Second};
use crate::world::table::{self, TABLE};

/// Why the table stands still.
const WHY: &str = "the table was restored from a backup";
/// Who lets it go on.
const ACTOR: &str = "an administrator";
/// So long after the restore the table is rebuilt.
const REBUILT: Second = 90;
/// So long after the restore somebody first asks whether it may go on.
const FIRST: Second = 120;
/// They ask so often.
const AGAIN: Second = 60;

pub(super) type Item = HashMap<String, AttributeValue>;
/// The items of the table, by their keys.
pub(super) type Items = BTreeMap<(String, String), Item>;
/// The copy of the evidence, by the names of the chains.
pub(super) type Copied = BTreeMap<String, CopiedChain>;

/// What is done for a restore.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// The backup is taken.
    Backup { taken: Timestamp },
    /// The table is put back to the backup that was taken then. It goes on at `latest`, whatever there is to wait for.
    PutBack { taken: Timestamp, latest: Timestamp },
    /// It gets what it lacks.
    Rebuild,
    /// Somebody asks whether it may go on.
    Ask { latest: Timestamp },
}

/// The copy of one chain.
pub(super) struct CopiedChain {
    chain: Chain,
    /// Its records, in the items in which they lie.
    items: Vec<Vec<String>>,
}

/// When what is done for restores.
pub(super) fn acts(plan: &Plan) -> Vec<(Timestamp, Act)> {
    let mut acts = Vec::new();
    for happening in &plan.happens {
        let Happening::Restored { backup, at, lasts } = happening else { continue };
        let last = at.saturating_add((*lasts).max(FIRST));
        let (taken, latest) = (plan.at(*backup), plan.at(last));
        acts.push((taken, Act::Backup { taken }));
        acts.push((plan.at(*at), Act::PutBack { taken, latest }));
        acts.push((plan.at(at.saturating_add(REBUILT)), Act::Rebuild));
        let mut asks = at.saturating_add(FIRST);
        while asks < last {
            acts.push((plan.at(asks), Act::Ask { latest }));
            asks = asks.saturating_add(AGAIN);
        }
        acts.push((latest, Act::Ask { latest }));
    }
    acts
}

/// The people of whom these items know who they are, by number.
fn known(plan: &Plan, items: &Items) -> BTreeSet<usize> {
    let sources = plan.rotations.iter().filter_map(|rotation| rotation.source.parse().ok());
    let sources: BTreeSet<SourceId> = sources.collect();
    let linked = |user: &UserId| {
        let mut links = sources.iter().map(|source| keys::link(source, user));
        links.any(|link| items.contains_key(&(link.pk, link.sk)))
    };
    (0..plan.people.len()).filter(|number| Plan::user(*number).parse().is_ok_and(|user| linked(&user))).collect()
}

impl Course {
    /// The next thing that is done for a restore.
    pub(super) async fn restore(&mut self, act: Act) -> anyhow::Result<()> {
        match act {
            Act::Backup { taken } => {
                self.world.tell(|| "a backup of the table is taken".to_owned());
                let items = self.items().await?;
                self.backups.insert(taken, items);
                Ok(())
            }
            Act::PutBack { taken, latest } => match self.backups.remove(&taken) {
                Some(items) => self.put_back(items, taken, latest).await,
                None => Ok(()),
            },
            Act::Rebuild => match self.unrebuilt.take() {
                Some(copied) => self.rebuilt(&copied).await,
                None => Ok(()),
            },
            Act::Ask { latest } => self.goes_on(latest).await,
        }
    }

    /// The table becomes what it was, and from then on stands still.
    async fn put_back(&mut self, mut items: Items, taken: Timestamp, latest: Timestamp) -> anyhow::Result<()> {
        let (world, now) = (self.world.clone(), self.world.now());
        world.tell(|| "the table is put back to its backup".to_owned());
        world.struck("table: restored from a backup");
        // Nobody is at work meanwhile, and nobody remembers what was in the table before.
        self.deploy();
        let copied = self.copied().await?;
        let there = self.items().await?;
        let anew = known(&world.plan, &there).difference(&known(&world.plan, &items)).copied().collect();
        // A restored table is another one than the one in it says.
        let installation = keys::installation();
        if let Some(item) = items.get_mut(&(installation.pk, installation.sk)) {
            item.insert("table".to_owned(), AttributeValue::S("the table before".to_owned()));
        }
        world.newer.forget();
        self.replace(&there, items).await?;
        self.ledger = table::store(&self.ground.embedded, &world, false);
        let noticed = self.ledger.notice_restore(now).await?;
        anyhow::ensure!(noticed.is_some(), "the hand-off does not notice that the table is another one");
        let records = copied.values().flat_map(|copied| &copied.items).flatten().cloned().collect();
        world.oracle().restored(taken, now, latest, records, anew);
        self.unrebuilt = Some(copied);
        Ok(())
    }

    /// The table gets what it lacks of the copy, and what evidence does not hold is applied again; without a change since
    /// nothing is.
    async fn rebuilt(&mut self, copied: &Copied) -> anyhow::Result<()> {
        let (world, now) = (self.world.clone(), self.world.now());
        // Nobody is at work meanwhile.
        self.deploy();
        self.rebuild(copied, now).await?;
        self.ledger.rebuilt(WHY, now).await?;
        self.version = self.ledger.installation().await?.map_or(0, |configured| configured.version);
        self.configure().await?;
        world.point("a restored table").await;
        Ok(())
    }

    /// The table gets what it lacks of the copy.
    async fn rebuild(&self, copied: &Copied, now: Timestamp) -> anyhow::Result<()> {
        let mut copies = Copies::default();
        for line in copied.values().flat_map(|copied| &copied.items).flatten() {
            copies.line(line).context("the copy of the evidence")?;
        }
        let heads: BTreeMap<String, _> = copies.heads().map(|(name, head)| (name.to_owned(), head)).collect();
        for (name, CopiedChain { chain, items }) in copied {
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

    /// Lets the table go on, where every rota counts as it was read since, or it is too late to wait for one.
    async fn goes_on(&self, latest: Timestamp) -> anyhow::Result<()> {
        let now = self.world.now();
        let Some(standstill) = self.ledger.pulse().await?.standstill else { return Ok(()) };
        let (followed, _) = self.ledger.followed().await?;
        let mut rotations = followed.iter().flat_map(|followed| &followed.rotations);
        let waits = rotations.any(|head| head.unsettled(standstill.since).is_some());
        if waits && now < latest {
            return Ok(());
        }
        self.ledger.release(ACTOR, now).await?;
        self.world.tell(|| format!("the restored table goes on{}", if waits { " without every rota" } else { "" }));
        if waits {
            self.world.struck("table: goes on without every rota");
        }
        self.world.oracle().released(now, !waits);
        self.world.point("a restored table").await;
        Ok(())
    }

    /// Everything in the table.
    pub(super) async fn items(&self) -> anyhow::Result<Items> {
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

    /// Makes these the items of the table. Most of those that are there are the same.
    async fn replace(&self, there: &Items, items: Items) -> anyhow::Result<()> {
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
    async fn copied(&self) -> anyhow::Result<Copied> {
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
                copied.insert(chain.to_string(), CopiedChain { chain, items });
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(copied);
            }
        }
    }
}
