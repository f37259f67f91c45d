//! A table that was put back to an earlier time, and the copy of its evidence.

use dutykey_engine::ports::blocks::WriteBlocks as _;
use dutykey_engine::ports::erasures::{ErasePeople as _, Erased};
use dutykey_engine::ports::ledger::{Claim, Committed, FindPeople as _, ReadLedger as _, WriteLedger as _};
use dutykey_engine::ports::rota::{UserLink, WriteRota as _};
use dutykey_engine::ports::rules::{ReadDue as _, ReadRules as _};
use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::evidence::copies::Copies;
use dutykey_policy::evidence::{Chain, ChainHead, Sealed, of_hold};
use dutykey_policy::hold::write_off::write_off;
use dutykey_policy::hold::{Hold, State};
use dutykey_policy::id::PersonId;
use dutykey_policy::request::{Access, How, Request, Stage, of_request};
use dutykey_store::keys::Key;
use dutykey_store::{Against, Range};

use crate::harness::{Item, World, at, change, hold, link, nine, over, person, world};

/// The copy of everything that a table holds now.
struct Copy {
    copies: Copies,
    lines: Vec<String>,
}

impl Copy {
    async fn of(world: &World) -> Self {
        let mut out = Vec::new();
        world.store.export(None, Range::default(), &mut out).await.unwrap();
        let mut lines: Vec<String> = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
        lines.pop();
        let mut copies = Copies::default();
        lines.iter().for_each(|line| copies.line(line).unwrap());
        Self { copies, lines }
    }

    fn lines(&self, chain: &Chain) -> Vec<String> {
        let named = format!("\"chain\":\"{chain}\"");
        self.lines.iter().filter(|line| line.contains(&named)).cloned().collect()
    }

    fn items(&self, chain: &Chain) -> Vec<Vec<String>> {
        self.lines(chain).into_iter().map(|line| vec![line]).collect()
    }

    fn head(&self, chain: &Chain) -> ChainHead {
        let name = chain.to_string();
        self.copies.heads().find(|(chain, _)| *chain == name).expect("the copy has the chain").1
    }

    async fn against(&self, world: &World, chain: &Chain) -> Against {
        world.store.against(chain, &self.head(chain), &self.copies).await.unwrap()
    }

    async fn behind(&self, world: &World, chain: &Chain) -> ChainHead {
        match self.against(world, chain).await {
            Against::Behind(head) => head,
            other => panic!("the table lacks records of {chain}: {other:?}"),
        }
    }
}

async fn moves(world: &World, person: &PersonId, before: Option<&Hold>, after: &Hold) {
    let mut next = change(person, &world.live(person).await.head);
    next.evidence = vec![of_hold(before, after, "test").unwrap()];
    next.holds = vec![after.clone()];
    world.committed(&next).await;
}

async fn becomes(world: &World, before: Option<&Request>, after: &Request) {
    let mut next = change(&after.person, &world.live(&after.person).await.head);
    (next.requests, next.enrollments) = (vec![after.clone()], vec![after.enrollment()]);
    next.evidence = of_request(before, after, "test");
    world.committed(&next).await;
}

async fn put_back(world: &World, backup: Vec<Item>) {
    for item in world.everything().await {
        let part = |name: &str| item[name].as_s().unwrap().clone();
        world.remove_raw(&Key { pk: part("pk"), sk: part("sk") }).await;
    }
    for item in backup {
        world.put_raw(item).await;
    }
}

#[tokio::test]
async fn r18_a_restored_table_gets_the_records_and_the_holds_that_it_lacks() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let old = hold(&ann, "old");
    moves(&world, &ann, None, &old).await;
    let backup = world.everything().await;
    moves(&world, &ann, Some(&old), &over(old.clone())).await;
    let new = Hold { state: State::Held, touched: true, ..hold(&ann, "new") };
    moves(&world, &ann, None, &new).await;
    let bob = world.somebody(2).await;
    let copy = Copy::of(&world).await;
    put_back(&world, backup).await;

    let (chain, now) = (Chain::Person(ann.clone()), at("2026-11-23T12:00:00Z"));
    let head = copy.behind(&world, &chain).await;
    assert_eq!(head.seq, 2);
    let (found, _) = world.store.rebuild(&chain, &head, &copy.items(&chain), now).await.unwrap();
    let said: Vec<_> = found.iter().map(|one| (one.table.as_ref(), one.copy.state, &one.copy.key)).collect();
    assert_eq!(said, [(None, State::Held, &new.key), (Some(&old), over(old.clone()).state, &old.key)]);

    let live = world.live(&ann).await;
    let open: Vec<_> = live.holds.iter().map(|hold| (&hold.key, hold.state, hold.due, hold.touched)).collect();
    assert_eq!(open, [(&new.key, State::Held, new.due, true)]);
    assert_eq!(live.head.chain, copy.head(&chain));
    assert_eq!(live.head.next_end.map(|due| due.at), Some(now), "she is looked at at once");
    assert_eq!(world.store.due_ends(None, now).await.unwrap().len(), 1);
    let records = world.store.evidence(&chain, 1, 10).await.unwrap();
    assert_eq!(records.into_iter().map(|record| record.line).collect::<Vec<_>>(), copy.lines(&chain), "as they were");
    assert_eq!(copy.against(&world, &chain).await, Against::Whole, "there is nothing more to do");

    let chain = Chain::Person(bob.clone());
    let head = copy.behind(&world, &chain).await;
    world.store.rebuild(&chain, &head, &copy.items(&chain), now).await.unwrap();
    assert_eq!(world.live(&bob).await.head.chain, copy.head(&chain), "whom the table did not know has their evidence");
}

#[tokio::test]
async fn r18_whoever_is_met_anew_gets_an_account_from_nobody_but_whom_they_were_before() {
    let world = world().await;
    let backup = world.everything().await;
    let before = world.somebody(1).await;
    let held = Hold { state: State::Held, touched: true, ..hold(&before, "prod") };
    moves(&world, &before, None, &held).await;
    let copy = Copy::of(&world).await;
    put_back(&world, backup).await;
    let (chain, now) = (Chain::Person(before.clone()), at("2026-11-23T12:00:00Z"));
    let head = copy.behind(&world, &chain).await;
    let (found, _) = world.store.rebuild(&chain, &head, &copy.items(&chain), now).await.unwrap();
    assert_eq!(found.iter().map(|one| one.met).collect::<Vec<_>>(), [false], "the backup does not know her");
    let (app, account) = (&held.key.app, &held.key.account);
    let left = world.live(&before).await;
    assert!(left.is_left_over() && left.may_hold_in(app, account), "{left:?}");
    assert_eq!(world.store.owner(app, account).await, Ok(Some(before.clone())), "what she holds keeps its account");

    let met = world.store.link_user(&UserLink { fresh: person(9), ..link(1, "U1") }).await.unwrap();
    let met = met.expect("nobody else has the address");
    assert_ne!(met, before);
    let mut claiming = change(&met, &world.live(&met).await.head);
    claiming.claims = vec![Claim { app: app.clone(), account: account.clone(), from: None }];
    let refused = Ok(Committed::Claimed(vec![app.clone()]));
    assert_eq!(world.store.commit(&claiming).await, refused, "R5: the first claim stays");
    claiming.claims[0].from = Some(person(7));
    assert_eq!(world.store.commit(&claiming).await, refused, "nobody gives up what is another's");
    claiming.claims[0].from = Some(before);
    world.committed(&claiming).await;
    assert_eq!(world.store.owner(app, account).await, Ok(Some(met)));
}

#[tokio::test]
async fn r18_what_was_given_back_since_the_backup_stays_so() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let access = |until: &str| Access { from: nine(), until: at(until), until_known: nine() };
    let request = |stage: Stage| Request {
        id: "req_01JD0000000000000000000000".parse().unwrap(),
        person: ann.clone(),
        profile: "on-call".parse().unwrap(),
        version: 1,
        rotation: "pd:PABC123".parse().unwrap(),
        stage,
        past: Vec::new(),
    };
    let approved = request(Stage::Approved { access: access("2026-11-23T17:00:00Z"), longer: None });
    let ten = "2026-11-23T10:00:00Z";
    let back = request(Stage::Over { how: How::GivenBack, at: at(ten), access: Some(access(ten)) });
    becomes(&world, None, &approved).await;
    let backup = world.everything().await;
    becomes(&world, Some(&approved), &back).await;
    let copy = Copy::of(&world).await;
    put_back(&world, backup).await;
    assert_eq!(world.live(&ann).await.requests, [approved], "the table knows nothing of it");

    let chain = Chain::Person(ann.clone());
    let head = copy.behind(&world, &chain).await;
    world.store.rebuild(&chain, &head, &copy.items(&chain), at("2026-11-23T12:00:00Z")).await.unwrap();
    let live = world.live(&ann).await;
    assert_eq!(
        (live.requests, live.enrollments),
        (vec![], vec![back.enrollment()]),
        "R13: it ended when it was given back"
    );
    assert_eq!(copy.against(&world, &chain).await, Against::Whole);
}

#[tokio::test]
async fn r18_what_a_backup_shows_in_part_is_whole_again_and_so_are_denials() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let old = hold(&ann, "old");
    moves(&world, &ann, None, &old).await;
    let ended = over(old.clone());
    let before = world.everything().await;
    moves(&world, &ann, Some(&old), &ended).await;
    let mut backup = world.everything().await;
    // The head and the evidence know of the end; the holds are those of a moment before.
    let holds = |item: &Item| item["sk"].as_s().unwrap().contains("HOLD");
    backup.retain(|item| !holds(item));
    backup.extend(before.into_iter().filter(holds));
    let (everything, author) = (Denied::App("directory".parse().unwrap()), "per_admin".to_owned());
    let block = |id: &str, denied: Denied| Block {
        id: id.to_owned(),
        denied,
        reach: Reach::Revoke,
        author: author.clone(),
        from: at("2026-11-23T11:00:00Z"),
        until: None,
    };
    let (reason, later) = (Sealed::new("a drill", [0; 32]), at("2026-11-23T11:00:00Z"));
    for block in [block("b-1", Denied::Person(ann.clone())), block("b-2", everything)] {
        world.store.place(&block, &reason, later).await.unwrap();
    }
    let (copy, placed) = (Copy::of(&world).await, world.store.blocks().await.unwrap());
    put_back(&world, backup).await;
    assert_eq!((world.live(&ann).await.holds.len(), world.store.blocks().await.unwrap().len()), (1, 0));
    for chain in [Chain::Person(ann.clone()), Chain::System] {
        let head = copy.behind(&world, &chain).await;
        world.store.rebuild(&chain, &head, &copy.items(&chain), later).await.unwrap();
        assert_eq!(copy.against(&world, &chain).await, Against::Whole);
    }
    assert_eq!(world.live(&ann).await.holds, [], "what had ended has ended");
    assert_eq!(world.store.blocks().await.unwrap(), placed, "R2: what was denied since is denied");
}

#[tokio::test]
async fn r14_r18_what_was_written_off_since_the_backup_is_neither_held_nor_forgotten() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let lost = Hold { state: State::Ending, touched: true, ..hold(&ann, "lost") };
    moves(&world, &ann, None, &lost).await;
    let backup = world.everything().await;
    let gone = write_off(&lost, &person(2), None, at("2026-11-23T18:00:00Z")).unwrap();
    moves(&world, &ann, Some(&lost), &gone).await;
    let (copy, chain) = (Copy::of(&world).await, Chain::Person(ann.clone()));
    put_back(&world, backup).await;
    assert_eq!(world.live(&ann).await.written_off, []);
    let head = copy.behind(&world, &chain).await;
    world.store.rebuild(&chain, &head, &copy.items(&chain), at("2026-11-23T19:00:00Z")).await.unwrap();
    let live = world.live(&ann).await;
    let said: Vec<_> = live.written_off.iter().map(|hold| (&hold.key, hold.state, hold.touched)).collect();
    assert_eq!((live.holds.len(), said), (0, vec![(&gone.key, gone.state, true)]));
}

#[tokio::test]
async fn r18_r19_whom_the_copy_says_erased_is_erased_again() {
    let world = world().await;
    let (ann, by, now) = (world.somebody(1).await, world.somebody(2).await, at("2026-11-23T11:00:00Z"));
    let backup = world.everything().await;
    let step = world.store.erase(&world.live(&ann).await, &by, now).await.unwrap();
    assert_eq!(step, Erased::Whole);
    let copy = Copy::of(&world).await;
    put_back(&world, backup).await;
    assert!(world.live(&ann).await.person.email.is_some(), "the backup brings her name back");
    let chain = Chain::Person(ann.clone());
    let (head, items) = (copy.behind(&world, &chain).await, copy.items(&chain));
    for _ in 0..2 {
        let erased = world.store.erase_again(&chain, &items).await.unwrap();
        assert_eq!(erased, Some(ann.clone()), "whoever is interrupted begins again");
    }
    world.store.rebuild(&chain, &head, &items, now).await.unwrap();
    assert_eq!(copy.against(&world, &chain).await, Against::Whole, "without a record of its own");
    let person = world.live(&ann).await.person;
    assert_eq!((person.email, person.name, person.users.len(), person.erased), (None, None, 0, Some(now)));
    assert_eq!(world.store.find_person("person1@example.com").await.unwrap(), None);
    let other = world.store.erase_again(&Chain::Person(by.clone()), &copy.items(&Chain::Person(by))).await.unwrap();
    assert_eq!(other, None, "nobody else is");
}

#[tokio::test]
async fn r18_a_chain_that_went_another_way_differs() {
    let world = world().await;
    let ann = world.somebody(1).await;
    let backup = world.everything().await;
    moves(&world, &ann, None, &hold(&ann, "one")).await;
    moves(&world, &ann, None, &hold(&ann, "two")).await;
    let copy = Copy::of(&world).await;
    put_back(&world, backup).await;
    let chain = Chain::Person(ann.clone());
    moves(&world, &ann, None, &hold(&ann, "other")).await;
    assert_eq!(copy.against(&world, &chain).await, Against::Differs(2), "shorter, and not a part of it");
    moves(&world, &ann, None, &hold(&ann, "more")).await;
    assert_eq!(copy.against(&world, &chain).await, Against::Differs(3), "as long");
}

#[tokio::test]
async fn r18_a_standstill_lasts_until_it_is_released_with_its_evidence() {
    let (world, now) = (world().await, at("2026-11-23T12:00:00Z"));
    let first = world.store.stand_still("a restore", now).await.unwrap();
    let again = world.store.stand_still("another", at("2026-11-23T13:00:00Z")).await.unwrap();
    assert_eq!((again, world.store.pulse().await.unwrap().standstill), (first.clone(), Some(first.clone())));
    assert_eq!(world.store.release("test", now).await.unwrap(), Some(first));
    assert_eq!(world.store.pulse().await.unwrap().standstill, None);
    assert_eq!(world.store.release("test", now).await.unwrap(), None);
    let records = world.store.evidence(&Chain::System, 1, 10).await.unwrap();
    assert!(records.len() == 1 && records[0].line.contains("installation.released"), "{records:?}");
}

#[tokio::test]
async fn r18_a_table_that_says_it_is_another_one_stands_still_until_it_is_released() {
    let (old, restored, now) = (world().await, world().await, at("2026-11-23T12:00:00Z"));
    assert_eq!(old.store.notice_restore(now).await.unwrap(), None, "it is the table that it says");
    put_back(&restored, old.everything().await).await;
    let standstill = restored.store.notice_restore(now).await.unwrap();
    let described = restored.client.describe_table().table_name(&restored.table).send().await.unwrap();
    if described.table.unwrap().table_id.is_none() {
        // Amazon's DynamoDB Local gives tables no ID.
        assert_eq!(standstill, None, "where tables have no ID nothing is noticed, and nothing stops");
        return;
    }
    assert_eq!(restored.store.pulse().await.unwrap().standstill, standstill);
    assert!(standstill.is_some_and(|it| it.why.contains("restored")), "it is another table");
    assert!(restored.store.may_record().await.is_err(), "what is recorded would go another way than its copy");
    assert!(restored.store.rebuilt("a restore", now).await.unwrap().why.contains("backup"), "it began as it did");
    restored.store.may_record().await.unwrap();
    assert!(restored.store.notice_restore(now).await.unwrap().is_some(), "and stands still until it is released");
    assert!(restored.store.release("test", now).await.unwrap().is_some());
    assert_eq!(restored.store.notice_restore(now).await.unwrap(), None, "from now on it is this one");
}
