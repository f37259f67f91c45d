//! The demonstration: a company whose shifts last seconds, on the real code, with a verdict at the end.

mod asking;
mod show;
mod verdict;

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access_requests::open_holds;
use anyhow::Context as _;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::rules::WriteRules as _;
use dutykey_engine::ports::target::Target as _;
use dutykey_engine::ports::witness::{Event, Witness};
use dutykey_policy::evidence::Verifier;
use dutykey_policy::id::PersonId;
use dutykey_policy::installation::{App, Installation, TargetSettings};
use dutykey_policy::time::later;
use dutykey_runtime::clock::{SystemChance, SystemClock};
use dutykey_runtime::config::NamedEntitlement;
use dutykey_store::{Range, Store};
use dutykey_targets::sandbox::SandboxTarget;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::adapters::{Adapters, adapters, environment_secrets};
use crate::cli;
use crate::notices::LogNotices;
use crate::process::{Parts, Process};
use asking::Asking;
use show::{Line, Names, Tone, line, offset};
use verdict::{Facts, Verdict, judge};

/// The configuration of the demonstration.
const CONFIG: &str = include_str!("demo/demo.yaml");
/// When the last shift ends.
const LAST_SHIFT: Duration = Duration::from_secs(34);
/// How long after it everything must be over.
const PATIENCE: Duration = Duration::from_secs(12);

struct Channel(mpsc::UnboundedSender<Event>);

impl Witness for Channel {
    fn saw(&self, event: &Event) {
        let _ = self.0.send(event.clone());
    }
}

/// Runs the demonstration. `true` where every promise was kept.
///
/// # Errors
/// The demonstration itself could not run.
pub(crate) async fn run(options: &cli::Demo, stop: watch::Receiver<bool>) -> anyhow::Result<bool> {
    if options.show_config {
        print!("{CONFIG}");
        return Ok(true);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let document = dutykey_runtime::config::parse(CONFIG.as_bytes(), Path::new(""))
        .map_err(|problems| anyhow::anyhow!("the demonstration's configuration: {problems:?}"))?;
    let unnamed = |_: &NamedEntitlement| Err("the demonstration names its entitlements by ID".to_owned());
    let installation = document.pin(unnamed).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let table = Embedded::memory().context("the embedded table")?;
    let store = Store::new(table.client(), "dutykey");
    let epoch = clock.now();
    store.create_table("demonstration").await?;
    store.configure(0, &installation, epoch).await?;
    let Adapters { platforms, targets, sandbox } = adapters(Arc::new(environment_secrets(&clock)), &clock, epoch);
    let app = installation.apps.first().context("the demonstration has no app")?;
    let target = sandbox_target(&sandbox, app)?;
    let (sender, events) = mpsc::unbounded_channel();
    let process = Process::new(Parts {
        store: store.clone(),
        platforms,
        targets,
        notify: Arc::new(LogNotices),
        clock: clock.clone(),
        chance: Arc::new(SystemChance),
        witness: Arc::new(Channel(sender)),
    });
    let asking = Asking::new(&store, &process, clock.clone(), epoch);
    let (halt, halted) = watch::channel(false);
    let running = tokio::spawn(async move { process.run(halted).await });
    let mut watching =
        Watching { names: names(&target, app).await?, epoch, events, seen: Vec::new(), store: store.clone() };
    let screen = Screen::new(options.json);
    screen.title(&installation);
    let finished = {
        let mut watched = std::pin::pin!(watching.until_over(clock.as_ref(), &screen, stop));
        tokio::select! {
            finished = &mut watched => finished?,
            asked = asking.go_on(&screen) => {
                asked?;
                watched.await?
            }
        }
    };
    let _ = halt.send(true);
    running.await.context("the process")?;
    if !finished {
        screen.note("stopped before the end; nothing is left behind");
        return Ok(false);
    }
    let verdict = watching.verdict(&store, &target).await?;
    screen.verdict(&verdict)?;
    Ok(verdict.ok)
}

fn sandbox_target(sandbox: &dutykey_targets::sandbox::SandboxWorld, app: &App) -> anyhow::Result<SandboxTarget> {
    match &app.settings {
        TargetSettings::Sandbox { script } => Ok(sandbox.target(&app.id, script)?),
        TargetSettings::Scim { .. } => anyhow::bail!("the demonstration's app is not a sandbox"),
    }
}

async fn names(target: &SandboxTarget, app: &App) -> anyhow::Result<Names> {
    let catalog = target.catalog(None).await?;
    let name =
        |entry: dutykey_engine::ports::target::Entitlement| ((app.id.to_string(), entry.entitlement.id), entry.name);
    Ok(Names { entitlements: catalog.entitlements.into_iter().map(name).collect(), ..Names::default() })
}

struct Watching {
    names: Names,
    epoch: Timestamp,
    events: mpsc::UnboundedReceiver<Event>,
    seen: Vec<Event>,
    store: Store,
}

impl Watching {
    /// Shows what happens until nothing is open after the last shift. `false` where it was interrupted.
    async fn until_over(
        &mut self,
        clock: &dyn Clock,
        screen: &Screen,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<bool> {
        let (last, end) = (later(self.epoch, LAST_SHIFT), later(self.epoch, LAST_SHIFT + PATIENCE));
        loop {
            let pause = later(clock.now(), Duration::from_millis(200));
            tokio::select! {
                event = self.events.recv() => if let Some(event) = event { self.take(event, clock.now(), screen).await? },
                _ = stop.wait_for(|stop| *stop) => return Ok(false),
                () = clock.sleep_until(pause) => {
                    let now = clock.now();
                    screen.progress(self.epoch, now);
                    let over = now > last && self.events.is_empty() && open_holds(&self.store).await?.0.is_empty();
                    if over || now > end {
                        return Ok(true);
                    }
                }
            }
        }
    }

    async fn take(&mut self, event: Event, now: Timestamp, screen: &Screen) -> anyhow::Result<()> {
        if let Some(person) = person_of(&event)
            && !self.names.people.contains_key(person)
        {
            let live = dutykey_engine::ports::ledger::ReadLedger::load(&self.store, person).await?;
            let name = live.and_then(|live| live.person.name.or(live.person.email));
            self.names.people.insert(person.clone(), name.unwrap_or_else(|| person.to_string()));
        }
        if let Some(line) = line(&event, &self.names, self.epoch) {
            screen.line(&offset(self.epoch, now), &line);
        }
        self.seen.push(event);
        Ok(())
    }

    async fn verdict(mut self, store: &Store, target: &SandboxTarget) -> anyhow::Result<Verdict> {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
        let mut export = Vec::new();
        store.export(None, Range::default(), &mut export).await?;
        let lines: Vec<String> = String::from_utf8(export)?.lines().map(str::to_owned).collect();
        let mut verifier = Verifier::default();
        let checked = lines.iter().try_for_each(|line| verifier.line(line)).and_then(|()| verifier.finish());
        Ok(judge(&Facts {
            events: &self.seen,
            names: &self.names,
            epoch: self.epoch,
            effects: &target.effects(),
            truth: &target.truth(),
            standing: &target.without_us(),
            open: &open_holds(store).await?.0,
            evidence: &lines,
            verified: &checked.map_err(|fault| fault.to_string()),
        }))
    }
}

fn person_of(event: &Event) -> Option<&PersonId> {
    match event {
        Event::Calling(hold)
        | Event::Granted(hold)
        | Event::Revoked(hold)
        | Event::Kept(hold)
        | Event::Moved { hold, .. } => Some(&hold.person),
        Event::Account { person, .. } | Event::WouldHold { person, .. } => Some(person),
        Event::ViewRead { .. } | Event::ViewFailed { .. } | Event::Braked { .. } | Event::Unmatched { .. } => None,
        Event::Ticked { .. } | Event::Counted(_) | Event::PlatformAsked(_) => None,
    }
}

/// Where the demonstration shows itself: lines on a terminal with colour and a clock, plain lines elsewhere, and with
/// `--json` nothing before the result.
struct Screen {
    json: bool,
    bar: Option<indicatif::ProgressBar>,
}

impl Screen {
    fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let bar = (!json && terminal).then(|| {
            let bar = indicatif::ProgressBar::new(LAST_SHIFT.as_secs());
            if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:30} {pos:>2}s of {len}s") {
                bar.set_style(style);
            }
            bar
        });
        Self { json, bar }
    }

    fn title(&self, installation: &Installation) {
        let (sources, profiles) = (installation.sources.len(), installation.profiles.len());
        self.note(&format!(
            "A company with {sources} on-call platform, {profiles} access profiles and shifts of seconds. Ctrl-C stops."
        ));
    }

    fn progress(&self, epoch: Timestamp, now: Timestamp) {
        if let Some(bar) = &self.bar {
            bar.set_position(now.duration_since(epoch).as_secs().unsigned_abs());
        }
    }

    fn line(&self, at: &str, line: &Line) {
        let style = match line.tone {
            Tone::Good => anstyle::AnsiColor::Green.on_default(),
            Tone::Gone => anstyle::AnsiColor::Blue.on_default(),
            Tone::Calm => anstyle::Style::new(),
            Tone::Warning => anstyle::AnsiColor::Yellow.on_default(),
        };
        let Line { who, what, why, .. } = line;
        self.note(&format!("{at:>6}  {who:<22} {style}{what:<32}{style:#} {why}"));
    }

    fn note(&self, text: &str) {
        if self.json {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| anstream::println!("{text}")),
            None => anstream::println!("{text}"),
        }
    }

    fn verdict(&self, verdict: &Verdict) -> anyhow::Result<()> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(verdict)?);
            return Ok(());
        }
        let mut table = crate::output::table(&["act", "person", "what", "why", "late", "proven"]);
        for act in &verdict.acts {
            let proven = if act.proven { "yes" } else { "NO" };
            table.add_row([act.act, &act.person, &act.name, &act.why, &format!("{} ms", act.lag_ms), proven]);
        }
        println!("\n{table}\n");
        println!("standing access intact: {}", if verdict.standing_intact { "yes" } else { "NO" });
        let evidence = &verdict.evidence;
        let checked = if evidence.verified { "verified offline" } else { "NOT VERIFIED" };
        println!("evidence: {} records in {} chains, {checked}", evidence.records, evidence.chains);
        let number = |promise: &str| promise.trim_start_matches('P').parse::<u8>().unwrap_or_default();
        let mut promises: Vec<_> = verdict.promises.iter().collect();
        promises.sort_by_key(|(promise, _)| number(promise));
        for (promise, judged) in promises {
            println!("{promise:>4} {}  {}", if judged.ok { "kept  " } else { "BROKEN" }, judged.detail);
        }
        Ok(())
    }
}
