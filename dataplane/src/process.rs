use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use genkan_accept::{Places, share};
use genkan_callers::login::Taken;
use pingora_core::apps::HttpServerApp;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::http_proxy;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::admin::Admin;
use crate::callers::{Callers, CallersError};
use crate::cli::Cli;
use crate::context::MOST_ATTEMPTS;
use crate::drain::{Drain, Signals};
use crate::duties::{Asker, Duties};
use crate::files;
use crate::front::{Front, FrontConfig, Traffic};
use crate::health::HealthReports;
use crate::last_known_good::{self, Journal, Keeper, LastKnownGood, Terms};
use crate::listening::{self, BindError, Bound, ProxyProtocol, Tls, TlsError};
use crate::log::Lines;
use crate::metrics::Metrics;
use crate::names::{Names, System};
use crate::net::AddressCheck;
use crate::proxy::{Generators, Outside, Proxy};
use crate::recovery::Recovery;
use crate::retreat::Retreat;
use crate::rollouts::{Reports as ExtensionReports, Rollouts};
use crate::roots;
use crate::stream::Subscriber;
use crate::tables::{Builder, Current};
use crate::tasks::{Ended, Tasks};
use crate::timestamp::Timestamp;
use crate::upstream::client::Client;
use crate::upstream::key_sets::KeySets;
use crate::upstream::tokens::Tokens;
use crate::usage::Usage;

/// Why the process cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("--state-dir {path} is not a folder that can be written to: {source}", path = .path.display())]
    StateDir { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Callers(#[from] CallersError),
    #[error("signals cannot be received: {0}")]
    Signal(#[source] std::io::Error),
    #[error("a listener cannot be watched: {0}")]
    Listener(#[source] std::io::Error),
    #[error(transparent)]
    Task(#[from] Ended),
}

/// Connections to all backends together that are kept for later, and hundredths of the open files for them.
/// Reports on their way to the operator.
const REPORTS: usize = 64;
const POOL: usize = 4_096;
const POOL_SHARE: usize = 10;

/// For what is still to be written when the process ends.
const WRITING: Duration = Duration::from_secs(2);

/// Serves until it is told to end.
///
/// # Errors
/// One sentence for the person who started it.
pub async fn run(cli: &Cli, log: Lines) -> Result<(), ProcessError> {
    // Before anything is served: from then on a signal must not simply end the process.
    let mut signals = Signals::new().map_err(ProcessError::Signal)?;
    let ca_file = prepare_state_dir(&cli.state_dir)?;
    genkan_accept::raise_limit();
    let bound = Bound::bind("--listen", cli.listen)?;
    let admin = Bound::bind("--admin-listen", cli.admin_listen)?;
    let secure = cli.listener.tls_listen.map(|address| -> Result<_, ProcessError> {
        Ok((Tls::load(&cli.listener)?, Bound::bind("--tls-listen", address)?))
    });
    let secure = secure.transpose()?;
    let (listen, admin_listen) = (bound.address, admin.address);
    let tls_listen = secure.as_ref().map(|(_, bound)| bound.address);
    let check = Arc::new(AddressCheck::new(
        cli.allow_upstream_cidr.clone(),
        [Some(listen), tls_listen, Some(admin_listen)]
            .into_iter()
            .flatten()
            .collect(),
    ));
    let current = Arc::new(Current::default());
    let health = Arc::new(HealthReports::default());
    let metrics = Arc::new(Metrics::new(log.dropped()));
    let names = Names::new(Arc::new(System::default()), Arc::clone(&check));
    let names = Arc::new(names.counting(metrics.refreshers_restarted.clone()));
    metrics.show_entries(&current);
    let (retreat, traffic) = (Arc::<Retreat>::default(), Arc::<Traffic>::default());
    let stop_stream = CancellationToken::new();

    let authorities = secure.as_ref().and_then(|(tls, _)| tls.authorities());
    let callers = Arc::new(Callers::new(
        &cli.authentication,
        authorities,
        Arc::clone(&metrics),
    )?);
    if cli.authentication.is_disabled() {
        tracing::warn!("AUTHENTICATION IS DISABLED: EVERY CALLER IS ANONYMOUS AND MAY DO EVERYTHING");
    } else if let Some(lacks) = cli.lacks_for_logins() {
        tracing::warn!("nobody can log in at the names of --apps-domain: that takes {lacks}");
    }
    tracing::info!(%listen, tls = tls_listen.map(tracing::field::display), admin = %admin_listen, operator = cli.stream.operator, "starting");

    let terms = Terms {
        operator: cli.stream.operator.clone(),
        max_age: cli.state_max_age,
    };
    let (keeping, kept) = keep(cli, &terms, &metrics);
    let (keeper, journal) = keeping.unzip();
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    let conf = engine_conf(ca_file, workers);
    let (reporting, reports) = mpsc::channel(REPORTS);
    let client = Client::new(Arc::clone(&names), ConnectorOptions::from_server_conf(&conf));
    let client = Arc::new(client);
    let tokens = Arc::new(Tokens::new(Arc::clone(&client)));
    let outside = Arc::new(Outside::new(KeySets::new(Arc::clone(&client))));
    let asker = Asker::new(client, Arc::clone(&tokens));
    let usage = Arc::new(Usage::default());
    let mut subscriber = Subscriber {
        duties: Duties::new(Arc::new(asker), reporting),
        reports,
        usage: Arc::clone(&usage),
        rollouts: Rollouts::new(Arc::clone(&retreat), Arc::clone(&traffic)),
        extension_reports: ExtensionReports::default(),
        operator: cli.stream.operator.clone(),
        credentials: cli.stream.credentials(),
        name: cli.own_name(listen),
        instance: uuid::Uuid::new_v4().to_string(),
        builder: Builder::new(Arc::clone(&names), Arc::clone(&metrics)),
        current: Arc::clone(&current),
        health: Arc::clone(&health),
        metrics: Arc::clone(&metrics),
        keeper: keeper.clone(),
        is_lost: false,
    };
    if let Some(kept) = kept {
        match subscriber.resume(&kept) {
            Ok(()) => tracing::warn!(
                confirmed = &*Timestamp::of(kept.at),
                "the configuration of --state-dir is served until the operator says something"
            ),
            Err(error) => tracing::warn!(%error, "the configuration in --state-dir is ignored"),
        }
    }
    let mut keeping = tokio::spawn(keep_on(keeper.zip(journal), stop_stream.clone()));
    let mut tasks = Tasks::default();
    tasks.spawn("configuration stream", subscriber.run(stop_stream.clone()));
    let recovery = Recovery {
        current: Arc::clone(&current),
        health: Arc::clone(&health),
        check,
        names_changed: names.changes(),
        connector: ConnectorOptions::from_server_conf(&conf),
        certificate: Arc::clone(&callers.certificate),
    };
    tasks.spawn("recovery", recovery.run());
    tasks.spawn("callers", callers.clone().maintain());
    let router = Admin {
        current: Arc::clone(&current),
        metrics: Arc::clone(&metrics),
        retreat: Arc::clone(&retreat),
    };
    let listener = admin.into_tokio().map_err(ProcessError::Listener)?;
    let closed = metrics.connections_closed.clone();
    let places = Places::new("requests", listening::shares(), &closed);
    tasks.spawn("administration", async move {
        match router.serve(listener, &closed).await {}
    });

    let reloads = Arc::clone(&metrics);
    let access = Arc::new(Access::new(Arc::clone(&metrics), log));
    let proxy = Proxy {
        generators: Generators::default(),
        tokens,
        outside,
        usage,
        current,
        health,
        metrics,
        access: Arc::clone(&access),
        callers: Arc::clone(&callers),
        front: cli.front.front(),
        taken_codes: Taken::default(),
        upstream_read_timeout: cli.upstream_read_timeout,
        tunnel_idle_timeout: Some(cli.tunnel_idle_timeout).filter(|limit| !limit.is_zero()),
    };
    let engine = http_proxy(&Arc::new(conf), proxy);
    let drain = Drain::new(Arc::clone(&retreat), cli.drain_delay, cli.drain_timeout);
    let proxy_protocol = Arc::new(ProxyProtocol::new(cli.listener.proxy_protocol_from.clone()));
    let front = Front::new(
        engine,
        FrontConfig {
            refusals: access,
            proxy_protocol: Arc::clone(&proxy_protocol),
            away: retreat.away(),
            traffic: Arc::clone(&traffic),
            ..FrontConfig::new(retreat.begun())
        },
    );
    let engine = front.engine();
    let keys = || Arc::clone(&callers.keys);
    let settings = secure.as_ref().map(|(tls, _)| tls.settings(keys())).transpose()?;
    let (tls, secure) = secure.unzip();
    tasks.spawn("certificates", async move {
        match tls {
            Some(tls) => files::watch(Arc::new(tls), reloads).await,
            None => std::future::pending().await,
        }
    });
    let serving = listening::serve(
        bound,
        secure.zip(settings),
        proxy_protocol,
        front,
        places,
        drain.listeners_end(),
    );
    let mut service = tokio::spawn(serving);

    tokio::select! {
        () = signals.next() => {}
        ended = tasks.ended() => return Err(ended.into()),
        ended = &mut keeping => return Err(gone("state", &ended)),
        ended = &mut service => return Err(gone("requests", &ended)),
    }
    retreat.end();
    tokio::select! {
        () = signals.next() => tracing::warn!("told twice to end: open connections are cut"),
        () = drain.run(&traffic, service) => {}
    }
    stop_stream.cancel();
    if tokio::time::timeout(WRITING, keeping).await.is_err() {
        tracing::warn!("what was changed last is not kept in --state-dir: the disk does not answer");
    }
    engine.http_cleanup().await;
    tracing::info!("ended");
    Ok(())
}

/// Of the two that the end of the process waits for.
fn gone<T>(name: &'static str, ended: &Result<T, JoinError>) -> ProcessError {
    match ended {
        Ok(_) => Ended::Returned(name).into(),
        Err(_) => Ended::Panicked(name).into(),
    }
}

type Keeping = (Arc<Keeper>, Journal);

/// Who keeps what is served, unless nobody is to, and what was kept before.
fn keep(cli: &Cli, terms: &Terms, metrics: &Arc<Metrics>) -> (Option<Keeping>, Option<LastKnownGood>) {
    if terms.max_age.is_zero() {
        return (None, None);
    }
    let (journal, kept) = last_known_good::read(&cli.state_dir, terms);
    let kept = kept.unwrap_or_else(|error| {
        tracing::warn!(%error, "the configuration in --state-dir is ignored");
        None
    });
    if !journal.may_write() {
        tracing::warn!("another process uses this --state-dir: nothing is kept in it");
        return (None, kept);
    }
    let keeper = Arc::new(Keeper::new(Arc::clone(metrics), terms.max_age));
    (Some((keeper, journal)), kept)
}

async fn keep_on(keeping: Option<Keeping>, stop: CancellationToken) {
    match keeping {
        Some((keeper, journal)) => keeper.run(journal, stop).await,
        None => stop.cancelled().await,
    }
}

fn prepare_state_dir(path: &Path) -> Result<PathBuf, ProcessError> {
    let refuse = |source| ProcessError::StateDir {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(refuse)?;
    roots::write(path).map_err(refuse)
}

fn engine_conf(ca_file: PathBuf, workers: usize) -> ServerConf {
    ServerConf {
        threads: workers,
        upstream_keepalive_pool_size: POOL.min(share(POOL_SHARE)).div_ceil(workers),
        max_retries: MOST_ATTEMPTS as usize,
        ca_file: Some(ca_file.to_string_lossy().into_owned()),
        ..ServerConf::default()
    }
}
