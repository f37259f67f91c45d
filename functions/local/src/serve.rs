//! The server: every function in one process over a data file, with a configuration file that it reads at its start and
//! on SIGHUP.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access_requests::{DEVELOPER, PublishedKeys, Unconfigured, open_holds};
use anyhow::{Context as _, bail};
use dutykey_embedded::sole_server;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue};
use dutykey_engine::ports::rules::{ReadRules as _, WritePulse as _, WriteRules as _};
use dutykey_engine::ports::secrets::ReadSecret;
use dutykey_policy::retire::keep;
use dutykey_runtime::clock::SystemChance;
use dutykey_runtime::metrics::Metrics;
use dutykey_runtime::notify::Notices;
use dutykey_runtime::witness::Recorder;
use dutykey_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli;
use crate::commands::World;
use crate::commands::retire::elsewhere;
use crate::copies::Keeper;
use crate::process::{Parts, Process};

/// How often a configuration is applied again where somebody else was faster.
const RACES: usize = 5;
/// How long requests that have begun may take after the end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Serves until it is stopped.
///
/// # Errors
/// The configuration, the data file or the address cannot be used.
pub(crate) async fn run(options: &cli::Serve, stop: watch::Receiver<bool>) -> anyhow::Result<bool> {
    if !options.listen.ip().is_loopback() {
        bail!(
            "{} is not a loopback address: `serve` answers this machine only, on 127.0.0.1 or [::1]. A proxy before it is \
             safe only where `api.oidc` names an issuer of tokens",
            options.listen
        );
    }
    let world = World::new();
    // Nothing is touched before the file is known to be sound.
    let installation = world.installation(&options.config).await?;
    let _sole = sole_server(&options.data)?;
    let data = cli::Data { data: options.data.clone(), table: None };
    let store = crate::data::open_or_create(&data, world.clock.as_ref()).await?;
    let listener = bind(options.listen).await?;
    let address = listener.local_addr().context("the address that was taken")?;
    let keeper = options.evidence_copy.as_deref().map(|directory| Keeper::of(&store, directory)).transpose()?;
    if let Some(keeper) = &keeper {
        not_behind(keeper).await?;
    }
    apply(&world, &store, installation, options.retire).await?;
    forget_sent(&store).await?;

    let metrics = Arc::new(Metrics::new());
    let shared = Arc::new(store.clone());
    let secrets: Arc<dyn ReadSecret> = world.secrets.clone();
    let notify = Notices::new(shared.clone(), secrets.clone(), world.clock.clone(), None)?;
    let process = Process::new(Parts {
        store: store.clone(),
        platforms: world.adapters.platforms.clone(),
        targets: world.adapters.targets.clone(),
        notify: Arc::new(notify),
        clock: world.clock.clone(),
        chance: Arc::new(SystemChance),
        witness: Arc::new(Recorder::new(metrics.clone())),
    });
    let webhooks = webhook_ingest::Ports {
        hints: shared.clone(),
        rules: shared,
        secrets,
        queues: process.queues(),
        clock: world.clock.clone(),
    };
    let api = access_requests::Ports {
        store: store.clone(),
        queues: process.queues(),
        keys: Arc::new(PublishedKeys::new(world.clock.clone()).context("the HTTP client for the issuer's keys")?),
        unconfigured: Unconfigured::Believed,
        clock: world.clock.clone(),
        chance: Arc::new(SystemChance),
    };
    let router = crate::http::router(api, metrics, webhooks);
    let mut stopped = stop.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let server = tokio::spawn(server.into_future());
    // Whoever reads the first line may send the signal at once.
    let hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
    announce(address);
    warn_of_development(&store).await?;
    tokio::select! {
        () = process.run(stop) => {}
        () = process.catalogs() => {}
        () = copying(keeper, world.clock.as_ref()) => {}
        () = reloads(hangup, options, &world, &store, process.queues()) => {}
    }
    if tokio::time::timeout(LAST_ANSWERS, server).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
    tracing::info!("stopped");
    Ok(true)
}

/// A table behind its copy was restored: it does not know what was granted since, and would end what was granted again.
async fn not_behind(keeper: &Keeper) -> anyhow::Result<()> {
    if let Some(file) = keeper.missed().await? {
        bail!(
            "nothing is served: the copy of the evidence has {}, of which the data file knows nothing. It was restored from a \
             backup: `dutykey rebuild --data FILE --copy DIR` adds what it lacks. A chain that this leaves alone is copied no \
             further: begin a copy in another directory, and keep this one",
            file.display()
        );
    }
    Ok(())
}

/// What was sent before waited in the memory of a process that is gone: the first tick sends it again.
async fn forget_sent(store: &Store) -> Result<(), StoreError> {
    let pulse = store.pulse().await?;
    store.keep_pulse(&pulse.unsent()).await
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}; is it taken? see --listen"))
}

/// The first line of the answer. Whoever started the server may have closed its output.
fn announce(address: SocketAddr) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
    tracing::info!(address = %address, "serving on `{address}`");
}

/// Says that nobody has to show who they are, where that is so.
async fn warn_of_development(store: &Store) -> Result<(), StoreError> {
    let configured = store.installation().await?;
    if configured.is_none_or(|configured| configured.installation.api.oidc.is_none()) {
        tracing::warn!(
            "DEVELOPMENT: no issuer of tokens is configured (api.oidc). Whoever uses this machine may look, and is whoever \
             they say with the header `{DEVELOPER}`"
        );
    }
    Ok(())
}

/// Copies evidence as it is written, for ever, where somebody asked for it.
async fn copying(keeper: Option<Keeper>, clock: &dyn Clock) {
    match keeper {
        Some(keeper) => keeper.keep(clock).await,
        None => std::future::pending().await,
    }
}

/// Reads the configuration again at each SIGHUP. One that cannot be used changes nothing.
async fn reloads(mut hangup: Signal, options: &cli::Serve, world: &World, store: &Store, queues: Arc<dyn Enqueue>) {
    while hangup.recv().await.is_some() {
        match reload(&options.config, options.retire, world, store, queues.as_ref()).await {
            Ok(version) => {
                tracing::info!(config.version = version, "version {version} of the configuration is in force")
            }
            Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
        }
    }
    std::future::pending().await
}

async fn reload(path: &Path, retire: bool, world: &World, store: &Store, queues: &dyn Enqueue) -> anyhow::Result<u64> {
    let installation = world.installation(path).await?;
    let version = apply(world, store, installation, retire).await?;
    // What changed takes effect with the next read, and that is now.
    let sources = store.installation().await?.map(|configured| configured.installation.sources).unwrap_or_default();
    let reads = sources.into_iter().map(|source| Message::rota(source.id, None, "configuration"));
    queues.send(Queue::Sync, reads.collect()).await?;
    queues.send(Queue::Provisioning, vec![Message::catalog(None, "configuration")]).await?;
    Ok(version)
}

/// Puts the file's installation in force, beside what the table still ends (R23).
async fn apply(
    world: &World,
    store: &Store,
    installation: dutykey_policy::installation::Installation,
    retire: bool,
) -> anyhow::Result<u64> {
    store.may_record().await?;
    for _ in 0..RACES {
        let stored = store.installation().await?;
        let version = stored.as_ref().map_or(0, |configured| configured.version);
        let stored = stored.map(|configured| configured.installation);
        let (_, open) = open_holds(store).await?;
        let refused = elsewhere(stored.as_ref(), &installation, &open, world.adapters.targets.as_ref()).await;
        if !refused.is_empty() {
            bail!("{}", refused.join("; "));
        }
        let mut next = installation.clone();
        let unsaid = keep(stored.as_ref(), &mut next, &open);
        if !unsaid.is_empty() && !retire {
            bail!("{}. With --retire it takes no new access, ends what it gave, and then goes", unsaid.join("; "));
        }
        match store.configure(version, &next, world.clock.now()).await {
            Ok(version) => return Ok(version),
            Err(StoreError::Changed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the configuration goes on being changed by somebody else; try again")
}
