//! `genkan proxy` and `genkan open`: a port of this machine that sends requests on with the credential of a kubeconfig.

mod credential;
mod destination;
mod guard;
mod serve;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;

use credential::Credential;
use destination::Destination;
use serve::Served;

use genkan_compile::sentence::sentence;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Port of 127.0.0.1 to listen on; 0 takes any that is free
    #[arg(long, short, env = "GENKAN_PORT", default_value = "8001", value_name = "PORT")]
    port: u16,
    #[command(flatten)]
    way: Way,
}

#[derive(Clone, Debug, clap::Args)]
pub struct OpenArgs {
    /// Path to open, such as /proxy/grafana/
    #[arg(value_name = "PATH")]
    path: String,
    /// Print the URL of the path alone, not that of a host for this UI: for browsers that do not know names below localhost
    #[arg(long = "path", env = "GENKAN_OPEN_PATH")]
    by_path: bool,
    /// Port of 127.0.0.1 to listen on [default: any that is free]
    #[arg(
        long,
        short,
        env = "GENKAN_PORT",
        default_value = "0",
        hide_default_value = true,
        value_name = "PORT"
    )]
    port: u16,
    #[command(flatten)]
    way: Way,
}

/// How requests get there, and as whom.
#[derive(Clone, Debug, clap::Args)]
struct Way {
    /// URL of the data plane [default: a forwarded port of one of its Pods]
    #[arg(long, env = "GENKAN_TO", value_name = "URL")]
    to: Option<http::Uri>,
    /// Authorities in PEM that sign the certificate behind --to, besides those of the system [default: none]
    #[arg(long, env = "GENKAN_CERTIFICATE_AUTHORITY", value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    /// Service of the data plane, where there is no --to
    #[arg(
        long,
        env = "GENKAN_DATAPLANE_SERVICE",
        default_value = "genkan-system/genkan-dataplane",
        value_name = "NAMESPACE/NAME"
    )]
    dataplane_service: String,
    /// Kubeconfig whose credential is added [default: the Pod's ServiceAccount, else ~/.kube/config]
    #[arg(long, env = "GENKAN_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Runs `genkan proxy`.
pub fn run(args: Args) -> ExitCode {
    finish(listen(args.port, args.way, Served::default(), |address, _| {
        format!("Serving on http://{address}/ with your own rights; end with Ctrl-C")
    }))
}

/// Runs `genkan open`.
pub fn open(args: OpenArgs) -> ExitCode {
    let path = format!("/{}", args.path.trim_start_matches('/'));
    let folder = path.split('?').next().unwrap_or_default();
    let folder = folder[..=folder.rfind('/').unwrap_or_default()].to_owned();
    // Names of UIs count at the end of a forwarded port, and on this machine.
    let is_plain = |url: &http::Uri| is_here(url) && url.scheme_str() == Some("http");
    let knows_names = args.way.to.as_ref().is_none_or(is_plain);
    let app = app_of(&path).filter(|_| !args.by_path && knows_names);
    let served = Served {
        folder: Some(folder.into()),
        app: app.map(|(name, _)| name.into()),
    };
    let rest = app.map_or("", |(_, rest)| rest).to_owned();
    finish(listen(
        args.port,
        args.way,
        served,
        move |address, app| match app {
            Some(name) => {
                let port = address.port();
                format!("http://{name}.localhost:{port}{rest}\nby path: http://{address}{path}")
            }
            None => format!("http://{address}{path}"),
        },
    ))
}

/// The name of a UI at this path, and what stands behind it.
fn app_of(path: &str) -> Option<(&str, &str)> {
    let below = path.strip_prefix("/proxy/")?;
    let (name, rest) = below.split_at(below.find('/')?);
    let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!name.is_empty() && name.len() <= 63 && name.bytes().all(is_label)).then_some((name, rest))
}

fn finish(work: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started");
    match runtime.and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("genkan: {}", sentence(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn is_here(url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Serves until Ctrl-C; `announce` is what is printed when it does, of the UI that has a host of its own there.
async fn listen(
    port: u16,
    way: Way,
    mut served: Served,
    announce: impl FnOnce(SocketAddr, Option<&str>) -> String,
) -> Result<()> {
    let config = crate::cluster::config(way.kubeconfig.as_deref()).await?;
    let credential = Credential::of(&config)?;
    let destination = match &way.to {
        Some(url) => {
            if credential.is_certificate_alone() && url.scheme_str() != Some("https") {
                bail!(
                    "the kubeconfig holds a client certificate and no token, and {url} is not https, where alone it could be shown"
                );
            }
            if url.scheme_str() == Some("http") && !is_here(url) {
                bail!(
                    "--to {url} would carry your token in plain text; use https, or a port of this machine"
                );
            }
            Destination::url(url, way.certificate_authority.as_deref(), &credential)?
        }
        None => {
            if credential.is_certificate_alone() {
                bail!(
                    "the kubeconfig holds a client certificate and no token; give --to with an https URL of the data plane, \
                     whose --client-ca-file must know its authority"
                );
            }
            let Some((namespace, name)) = way.dataplane_service.split_once('/') else {
                bail!(
                    "--dataplane-service {:?} is not NAMESPACE/NAME",
                    way.dataplane_service
                );
            };
            Destination::service(config, namespace, name).await?
        }
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--port {port}: {address} cannot be listened on"))?;
    let address = listener.local_addr()?;
    if let Some(name) = &served.app
        && !serve::has_app(&destination, &credential, name).await?
    {
        served.app = None;
    }
    println!("{}", announce(address, served.app.as_deref()));
    tokio::select! {
        ended = serve::serve(listener, Arc::new(destination), Arc::new(credential), served) => ended,
        ended = tokio::signal::ctrl_c() => ended.context("signals cannot be received"),
    }
}
