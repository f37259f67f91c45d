//! A company on the real program under virtual time: the process of `dutykey`, the real table in memory, a simulated
//! platform and a simulated app.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use dutykey::process::{Parts, Process};
use dutykey_embedded::Embedded;
use dutykey_engine::block::Blocks;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::{FindPeople as _, LivePerson, Notice, ReadLedger};
use dutykey_engine::ports::notify::{Notify, NotifyError};
use dutykey_engine::ports::platform::Platforms;
use dutykey_engine::ports::queue::Enqueue;
use dutykey_engine::ports::rules::WriteRules;
use dutykey_engine::ports::secrets::{ReadSecret, Secret, SecretError};
use dutykey_engine::ports::target::Targets;
use dutykey_engine::ports::witness::{Event, Witness};
use dutykey_engine::request::Requests;
use dutykey_engine::write_off::WriteOffs;
use dutykey_platforms::sandbox::SandboxPlatform;
use dutykey_policy::evidence::Verifier;
use dutykey_policy::hold::{Act, Hold};
use dutykey_policy::id::{AppId, EntitlementRef, PersonId, RotationId};
use dutykey_policy::installation::{
    App, Installation, PlatformSettings, SecretRef, Source, SyncSettings, TargetSettings, Topic,
};
use dutykey_policy::profile::{Automatic, Profile};
use dutykey_policy::time::later;
use dutykey_runtime::clock::{SeededChance, VirtualClock};
use dutykey_store::{Range, Store};
use dutykey_targets::sandbox::{By, Change, SandboxTarget};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::clocks::Settable;
use super::gate::{Gate, GatedTable, GatedTargets};

const EPOCH: &str = "2026-11-23T00:00:00Z";
/// How long an adapter keeps its secret.
const KEEP: Duration = Duration::from_secs(300);

pub(crate) const fn h(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}
pub(crate) const fn m(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}
pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A profile that gives these groups of the app to whoever is on call, without lead and grace and with a lease of four
/// hours. `role:admin` is the role.
pub(crate) fn profile(id: &str, gives: &[&str], rotations: &[&str]) -> Profile {
    let rotation = |local: &&str| -> RotationId { rotation_id(local) };
    let entitlement = |what: &&str| {
        let (kind, id) = what.split_once(':').unwrap_or(("group", what));
        EntitlementRef { app: "directory".parse().unwrap(), kind: kind.to_owned(), id: id.to_owned() }
    };
    Profile {
        id: id.parse().unwrap(),
        version: 0,
        name: id.to_owned(),
        entitlements: gives.iter().map(entitlement).collect(),
        mode: Default::default(),
        enrollment: Some(Automatic {
            rotations: rotations.iter().map(rotation).collect(),
            lead: Duration::ZERO,
            grace: Duration::ZERO,
            lease: h(4),
        }),
        self_service: None,
        self_override: Default::default(),
        override_lock: Duration::ZERO,
        break_glass: None,
    }
}

/// The same profile with another lead, grace or lease.
pub(crate) fn with(mut profile: Profile, change: impl FnOnce(&mut Automatic)) -> Profile {
    change(profile.enrollment.as_mut().unwrap());
    profile
}

pub(crate) fn rotation_id(local: &str) -> RotationId {
    format!("pd:{local}").parse().unwrap()
}

/// A shift in the platform's script.
pub(crate) fn shift(user: &str, from: &str, to: &str) -> Value {
    json!({ "user": user, "from": from, "to": to })
}

/// A company before it begins.
pub(crate) struct Company {
    platform: Value,
    target: Value,
    epoch: Timestamp,
    pub(crate) installation: Installation,
}

impl Company {
    /// Everybody has a user (`ann`), an address (`ann@example.com`) and an account (`acc-ann`).
    pub(crate) fn of<'a>(people: impl IntoIterator<Item = &'a str>) -> Self {
        let people: Vec<String> = people.into_iter().map(str::to_owned).collect();
        let user = |id: &String| json!({ "id": id, "email": format!("{id}@example.com"), "active": true });
        let account = |id: &String| json!({ "id": format!("acc-{id}"), "address": format!("{id}@example.com") });
        let users: Vec<Value> = people.iter().map(user).collect();
        let accounts: Vec<Value> = people.iter().map(account).collect();
        let groups = ["prod", "logs", "db"].map(|id| json!({ "id": id }));
        Self {
            platform: json!({ "users": users, "rotations": [] }),
            target: json!({ "accounts": accounts, "groups": groups }),
            epoch: EPOCH.parse().unwrap(),
            installation: Installation {
                verified_domains: vec!["example.com".to_owned()],
                directory: None,
                api: Default::default(),
                sources: Vec::new(),
                apps: Vec::new(),
                links: Vec::new(),
                profiles: Vec::new(),
                sync: SyncSettings::default(),
                brake: Default::default(),
                notify: Vec::new(),
            },
        }
    }

    /// Adds a rotation: `shifts`, `turns` or `overrides` as in the platform's script.
    pub(crate) fn rotation(mut self, id: &str, mut rota: Value) -> Self {
        rota["id"] = json!(id);
        self.platform["rotations"].as_array_mut().unwrap().push(rota);
        self
    }

    /// Adds a rotation of shifts.
    pub(crate) fn shifts(self, id: &str, shifts: &[Value]) -> Self {
        self.rotation(id, json!({ "shifts": shifts }))
    }

    /// Begins then.
    pub(crate) fn beginning(self, epoch: Timestamp) -> Self {
        Self { epoch, ..self }
    }

    pub(crate) fn profile(mut self, profile: Profile) -> Self {
        self.installation.profiles.push(profile);
        self
    }

    /// Sets a key of the platform's script.
    pub(crate) fn platform(mut self, key: &str, value: Value) -> Self {
        self.platform[key] = value;
        self
    }

    /// Sets a key of the app's script.
    pub(crate) fn target(mut self, key: &str, value: Value) -> Self {
        self.target[key] = value;
        self
    }

    pub(crate) fn installation(mut self, change: impl FnOnce(&mut Installation)) -> Self {
        change(&mut self.installation);
        self
    }

    /// Begins, with the process running.
    pub(crate) async fn start(self) -> World {
        let mut world = self.stopped().await;
        world.begin();
        world
    }

    /// Everything but the process.
    pub(crate) async fn stopped(mut self) -> World {
        let epoch = self.epoch;
        let truth = Arc::new(Settable::over(Arc::new(VirtualClock::starting_at(epoch))));
        let clock: Arc<dyn Clock> = truth.clone();
        if self.installation.sources.is_empty() {
            let settings = PlatformSettings::Sandbox { script: self.platform.clone() };
            let rotations = Default::default();
            let every = self.installation.sync.every;
            let source = Source { id: "pd".parse().unwrap(), settings, rotations, every, retiring: false };
            self.installation.sources.push(source);
        }
        let app: AppId = "directory".parse().unwrap();
        let settings = TargetSettings::Sandbox { script: self.target.clone() };
        self.installation.apps.push(App { id: app.clone(), settings, retiring: false });
        let gate = Gate::default();
        let embedded = Embedded::memory().unwrap();
        let table = GatedTable { inner: embedded.connector(), gate: gate.clone() };
        let http = http_client_fn(move |_, _| SharedHttpConnector::new(table.clone()));
        let store = Store::new(Client::from_conf(embedded.config().http_client(http).build()), "dutykey");
        store.create_table("test").await.unwrap();
        let version = store.configure(0, &self.installation, epoch).await.unwrap();
        let platforms = dutykey_platforms::sandbox::SandboxWorld::new(epoch, clock.clone());
        let targets = dutykey_targets::sandbox::SandboxWorld::new(epoch, clock.clone());
        let platform = platforms.platform(&"pd".parse().unwrap(), &self.platform).unwrap();
        let target = targets.target(&app, &self.target).unwrap();
        let secrets: Arc<dyn ReadSecret> = Arc::new(NoSecrets);
        let platforms: Arc<dyn Platforms> =
            Arc::new(dutykey_platforms::adapters::Adapters::new(secrets.clone(), clock.clone(), platforms, KEEP));
        let targets: Arc<dyn Targets> =
            Arc::new(dutykey_targets::adapters::Adapters::new(secrets, clock.clone(), targets, KEEP));
        let targets = Arc::new(GatedTargets { inner: targets, gate: gate.clone() });
        let record = Arc::new(Record { clock: clock.clone(), seen: Mutex::default(), told: Mutex::default() });
        World {
            installation: self.installation,
            version,
            epoch,
            truth,
            clock,
            embedded,
            store,
            platform,
            target,
            gate,
            record,
            platforms,
            targets,
            running: Vec::new(),
        }
    }
}

struct NoSecrets;

#[async_trait]
impl ReadSecret for NoSecrets {
    async fn read(&self, at: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError::Missing(format!("{at:?}")))
    }
}

/// What was seen and told, with its time.
pub(crate) struct Record {
    clock: Arc<dyn Clock>,
    seen: Mutex<Vec<(Timestamp, Event)>>,
    told: Mutex<Vec<(Timestamp, Notice)>>,
}

impl Witness for Record {
    fn saw(&self, event: &Event) {
        self.seen.lock().unwrap().push((self.clock.now(), event.clone()));
    }
}

#[async_trait]
impl Notify for Record {
    async fn tell(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.told.lock().unwrap().push((self.clock.now(), notice.clone()));
        Ok(())
    }
}

/// A process that runs.
struct Running {
    queues: Arc<dyn Enqueue>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A company at work.
pub(crate) struct World {
    pub(crate) installation: Installation,
    version: u64,
    pub(crate) epoch: Timestamp,
    /// The clock of everything, which jumps where the machine sleeps.
    pub(crate) truth: Arc<Settable>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) embedded: Embedded,
    pub(crate) store: Store,
    pub(crate) platform: SandboxPlatform,
    pub(crate) target: SandboxTarget,
    pub(crate) gate: Gate,
    pub(crate) record: Arc<Record>,
    pub(crate) platforms: Arc<dyn Platforms>,
    pub(crate) targets: Arc<dyn Targets>,
    running: Vec<Running>,
}

impl World {
    /// The instant so long after the beginning.
    pub(crate) fn at(&self, after: Duration) -> Timestamp {
        later(self.epoch, after)
    }

    /// A process of this company, by this clock.
    pub(crate) fn process(&self, clock: Arc<dyn Clock>, seed: u64) -> Process {
        Process::new(Parts {
            store: self.store.clone(),
            platforms: self.platforms.clone(),
            targets: self.targets.clone(),
            notify: self.record.clone(),
            clock,
            chance: Arc::new(SeededChance::new(seed)),
            witness: self.record.clone(),
        })
    }

    /// Starts a process; one more, where one runs.
    pub(crate) fn begin(&mut self) {
        self.begin_with(self.process(self.clock.clone(), 7 + self.running.len() as u64));
    }

    pub(crate) fn begin_with(&mut self, process: Process) {
        let (stop, stopped) = watch::channel(false);
        let queues = process.queues();
        let task = tokio::spawn(async move { process.run(stopped).await });
        self.running.push(Running { queues, stop, task });
    }

    /// The queues of the process that was started first.
    pub(crate) fn queues(&self) -> Arc<dyn Enqueue> {
        self.running.first().expect("a process runs").queues.clone()
    }

    /// Places and lifts blocks, beside the process.
    pub(crate) fn blocks(&self) -> Blocks {
        Blocks {
            blocks: Arc::new(self.store.clone()),
            queues: self.queues(),
            clock: self.clock.clone(),
            chance: Arc::new(SeededChance::new(99 + self.clock.now().as_millisecond().unsigned_abs())),
        }
    }

    /// Asks and decides, beside the process.
    pub(crate) fn requests(&self) -> Requests {
        let shared = Arc::new(self.store.clone());
        Requests {
            ledger: shared.clone(),
            people: shared.clone(),
            rota: shared.clone(),
            rules: shared,
            queues: self.queues(),
            clock: self.clock.clone(),
            chance: Arc::new(SeededChance::new(199 + self.clock.now().as_millisecond().unsigned_abs())),
        }
    }

    /// Writes holds off, beside the process.
    pub(crate) fn write_offs(&self) -> WriteOffs {
        let shared = Arc::new(self.store.clone());
        WriteOffs {
            ledger: shared.clone(),
            rota: shared.clone(),
            rules: shared,
            queues: self.queues(),
            clock: self.clock.clone(),
            chance: Arc::new(SeededChance::new(299 + self.clock.now().as_millisecond().unsigned_abs())),
        }
    }

    /// Kills every process, wherever it is.
    pub(crate) async fn kill(&mut self) {
        for running in self.running.drain(..) {
            running.task.abort();
            let _ = running.task.await;
        }
    }

    /// Stops every process in good order.
    pub(crate) async fn stop(&mut self) {
        for running in self.running.drain(..) {
            running.stop.send(true).unwrap();
            running.task.await.unwrap();
        }
    }

    /// Lets time pass until so long after the beginning.
    pub(crate) async fn run_until(&self, after: Duration) {
        self.clock.sleep_until(self.at(after)).await;
    }

    /// Applies a changed configuration.
    pub(crate) async fn configure(&mut self, change: impl FnOnce(&mut Installation)) {
        change(&mut self.installation);
        self.version = self.store.configure(self.version, &self.installation, self.clock.now()).await.unwrap();
    }

    /// Who is a member of the group, by the truth.
    pub(crate) fn members(&self, group: &str) -> BTreeSet<String> {
        let members = self.target.truth().members.remove(group).unwrap_or_default();
        members.iter().map(|account| account.as_str().trim_start_matches("acc-").to_owned()).collect()
    }

    /// Whether the person is a member, by the truth.
    pub(crate) fn has(&self, person: &str, group: &str) -> bool {
        self.members(group).contains(person)
    }

    /// The person's role, by the truth.
    pub(crate) fn role(&self, person: &str) -> Option<String> {
        self.target.truth().roles.remove(&format!("acc-{person}").parse().unwrap())
    }

    /// What Dutykey has changed for the person in the group: when (after the beginning) and how.
    pub(crate) fn changes(&self, person: &str, group: &str) -> Vec<(Duration, &'static str)> {
        let account = format!("acc-{person}");
        let ours = |effect: &dutykey_targets::sandbox::Effect| {
            let what = match effect.change {
                Change::Added => "added",
                Change::Removed => "removed",
                Change::Set { .. } | Change::Noted => return None,
            };
            let mine = effect.by == By::Dutykey && effect.account.as_str() == account && effect.place.id == group;
            mine.then(|| (self.since(effect.at), what))
        };
        self.target.effects().iter().filter_map(ours).collect()
    }

    /// How long after the beginning.
    pub(crate) fn since(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.epoch)).unwrap()
    }

    pub(crate) fn events(&self) -> Vec<(Duration, Event)> {
        let seen = self.record.seen.lock().unwrap();
        seen.iter().map(|(at, event)| (self.since(*at), event.clone())).collect()
    }

    /// How late the first call of each proven grant and each proven revocation was.
    pub(crate) fn lags(&self) -> Vec<i64> {
        let act = |event: &Event| -> Option<Act> {
            match event {
                Event::Granted(hold) => hold.granted,
                Event::Revoked(hold) => hold.revoked,
                _ => None,
            }
        };
        self.events().iter().filter_map(|(_, event)| act(event)).map(|act| act.lag_ms()).collect()
    }

    /// When somebody was told of this, and what.
    pub(crate) fn notices(&self, topic: Topic) -> Vec<(Duration, String)> {
        let told = self.record.told.lock().unwrap();
        let about = told.iter().filter(|(_, notice)| notice.topic == topic);
        about.map(|(at, notice)| (self.since(*at), notice.text.clone())).collect()
    }

    /// The person's items.
    pub(crate) async fn live(&self, person: &str) -> LivePerson {
        let id = self.store.find_person(&format!("{person}@example.com")).await.unwrap().expect("the person is known");
        self.store.load(&id).await.unwrap().expect("the person is there")
    }

    pub(crate) async fn person(&self, person: &str) -> Option<PersonId> {
        self.store.find_person(&format!("{person}@example.com")).await.unwrap()
    }

    /// Every hold that is not over.
    pub(crate) async fn holds(&self) -> Vec<Hold> {
        let (mut holds, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.store.list_open_holds(cursor.as_ref(), 200).await.unwrap();
            holds.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return holds,
            }
        }
    }

    /// The person's only hold.
    pub(crate) async fn hold(&self, person: &str) -> Hold {
        let holds = self.live(person).await.holds;
        assert_eq!(holds.len(), 1, "{person} has one hold: {holds:#?}");
        holds.into_iter().next().unwrap()
    }

    /// The exported evidence, verified offline; its records.
    pub(crate) async fn evidence(&self) -> Vec<Value> {
        let mut export = Vec::new();
        self.store.export(None, Range::default(), &mut export).await.unwrap();
        let text = String::from_utf8(export).unwrap();
        let mut verifier = Verifier::default();
        let checked = text.lines().try_for_each(|line| verifier.line(line)).and_then(|()| verifier.finish());
        checked.expect("P9: the exported evidence verifies offline");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Everything that is promised of a company whose shifts are all over: nobody has anything but what they had before
    /// us, nothing is open, and the evidence verifies.
    pub(crate) async fn is_over(&self) {
        let holds = self.holds().await;
        assert!(holds.is_empty(), "P1: every hold ends once its reasons have ended; open are {holds:#?}");
        assert_eq!(self.target.truth(), self.target.without_us(), "P1, P3: what is left is standing access");
        self.evidence().await;
    }
}
