//! What a request costs in CPU time, beside nginx (and Envoy, where it is installed) in the same run; prints a table.
//!
//! `make bench` builds the programs as they are published and runs this. Core 0 belongs to the proxy that is measured,
//! core 1 to the backend (nginx, 1 KiB from memory) and to the client: wrk with one thread and 64 connections that are kept,
//! for HTTP/2 h2load with 8 connections of 8 streams. CPU is the time on a core of all threads of the proxy, divided by the
//! requests in that time; the median of the rounds. genkan writes an access line for every request; the others write none.
//! Towards the backend all speak HTTP/1.1.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::http1;
use genkan_e2e::pki::{Authority, Pair};
use genkan_e2e::process::{Launch, Process};
use genkan_e2e::product;
use genkan_e2e::programs::Programs;
use genkan_e2e::wait;
use serde_json::json;

#[path = "machine.rs"]
mod machine;

use genkan_e2e::installation::{Installation, PATH, free_port};

const ROUNDS: usize = 5;
const START: Duration = Duration::from_secs(60);

struct Candidate {
    name: String,
    /// By protocol; absent where it does not speak that.
    ports: BTreeMap<Protocol, u16>,
    process: Process,
}

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Protocol {
    Http1,
    Tls,
    /// In the clear.
    Http2,
}

/// Where a proxy listens in each protocol, and with what it proves who it is.
struct Places {
    http1: u16,
    tls: u16,
    http2: u16,
    pair: Pair,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return ExitCode::SUCCESS;
    }
    match measure().await {
        Ok(table) => {
            println!("{}{table}", machine::describe());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<String> {
    for tool in ["nginx", "wrk", "h2load", "taskset"] {
        ensure!(
            is_installed(tool),
            "{tool} is not installed; the comparison needs nginx, wrk, h2load and taskset"
        );
    }
    let programs = Programs::build()?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let pair = Authority::new(folder, "authority")?.server("front", &["localhost"])?;
    let backend = Places::new(&pair)?;
    let page = format!("return 200 '{}';", "x".repeat(1024));
    let _backend = nginx("backend", folder, 1, &backend, "", &page).await?;
    let backend = backend.http1;
    let forward = "proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection '';";
    let pool = format!("upstream backend {{ server 127.0.0.1:{backend}; keepalive 512; }}");
    let places = Places::new(&pair)?;
    let mut candidates = vec![Candidate {
        name: "nginx".into(),
        process: nginx("nginx", folder, 0, &places, &pool, forward).await?,
        ports: places.ports(),
    }];
    if let Some(program) = std::env::var_os("GENKAN_BARE_BIN") {
        candidates.push(start_bare(folder, Path::new(&program), backend).await?);
    }
    let mut operators = Vec::new();
    for routes in [1, 10_000] {
        let name = format!("genkan-{routes}");
        let tls = free_port()?;
        let (certificate, key) = (
            pair.certificate.display().to_string(),
            pair.key.display().to_string(),
        );
        let (on_a_core, listen) = (["taskset", "-c", "0"], format!("127.0.0.1:{tls}"));
        let flags = [
            "--authentication",
            "disabled",
            "--tls-listen",
            &listen,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
        ];
        let genkan = Installation::start(
            &programs,
            &folder.join(&name),
            routes,
            backend,
            &on_a_core,
            &flags,
        )
        .await?;
        operators.push(genkan.operator);
        let ports = [
            (Protocol::Http1, genkan.port),
            (Protocol::Tls, tls),
            (Protocol::Http2, genkan.port),
        ];
        candidates.push(Candidate {
            name: format!("genkan, {routes} routes"),
            ports: ports.into(),
            process: genkan.process,
        });
    }
    let envoy = is_installed("envoy");
    if envoy {
        candidates.push(start_envoy(folder, &pair, backend).await?);
    }
    let mut text = String::new();
    for protocol in [Protocol::Http1, Protocol::Tls, Protocol::Http2] {
        text += &compare(protocol, &candidates)?;
    }
    if !envoy {
        text += "Envoy is not installed here, and was not measured.\n";
    }
    Ok(text)
}

/// One table: all candidates in turn, in another order each time.
fn compare(protocol: Protocol, candidates: &[Candidate]) -> Result<String> {
    let able: Vec<(&Candidate, u16)> = candidates
        .iter()
        .filter_map(|candidate| Some((candidate, *candidate.ports.get(&protocol)?)))
        .collect();
    let mut costs: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for place in 0..able.len() {
            let index = (place + round) % able.len();
            let (candidate, port) = able[index];
            load(protocol, port, 1)?;
            let before = on_cpu(candidate.process.id())?;
            let (requests, rate) = load(protocol, port, 5)?;
            let spent = on_cpu(candidate.process.id())? - before;
            costs
                .entry(index)
                .or_default()
                .push((spent as f64 / 1e3 / requests, rate));
        }
    }
    let mut table = format!(
        "\n{}\nproxy                 | CPU µs a request | range       | requests/s | beside nginx\n",
        match protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Tls => "HTTP/1.1 over TLS",
            Protocol::Http2 => "HTTP/2 in the clear",
        }
    );
    let median = |list: &[f64]| list[list.len() / 2];
    let mut base = None;
    for (index, measured) in &costs {
        let mut micros: Vec<f64> = measured.iter().map(|(micros, _)| *micros).collect();
        let mut rates: Vec<f64> = measured.iter().map(|(_, rate)| *rate).collect();
        micros.sort_by(f64::total_cmp);
        rates.sort_by(f64::total_cmp);
        let base = *base.get_or_insert(median(&micros));
        writeln!(
            table,
            "{:21} | {:16.1} | {:4.1} – {:4.1} | {:10.0} | {:.2}",
            able[*index].0.name,
            median(&micros),
            micros[0],
            micros[micros.len() - 1],
            median(&rates),
            median(&micros) / base,
        )?;
    }
    Ok(table)
}

// === impl Places ===

impl Places {
    fn new(pair: &Pair) -> Result<Self> {
        Ok(Self {
            http1: free_port()?,
            tls: free_port()?,
            http2: free_port()?,
            pair: pair.clone(),
        })
    }

    fn ports(&self) -> BTreeMap<Protocol, u16> {
        [
            (Protocol::Http1, self.http1),
            (Protocol::Tls, self.tls),
            (Protocol::Http2, self.http2),
        ]
        .into()
    }
}

async fn nginx(
    name: &str,
    folder: &Path,
    core: u32,
    places: &Places,
    outside: &str,
    inside: &str,
) -> Result<Process> {
    let file = folder.join(format!("{name}.conf"));
    let (pid, temporary) = (folder.join(format!("{name}.pid")), folder.display());
    let Places {
        http1,
        tls,
        http2,
        pair,
        ..
    } = places;
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    std::fs::write(
        &file,
        format!(
            "daemon off; master_process off; worker_processes 1; pid {}; error_log stderr crit;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {temporary}/b;\n\
             proxy_temp_path {temporary}/p; fastcgi_temp_path {temporary}/f; uwsgi_temp_path {temporary}/u;\n\
             scgi_temp_path {temporary}/s; {outside}\n\
             server {{ listen 127.0.0.1:{http1}; listen 127.0.0.1:{tls} ssl; listen 127.0.0.1:{http2} http2;\n\
             ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ {inside} }} }} }}\n",
            pid.display()
        ),
    )?;
    let process = Launch::new(name, "taskset")
        .args(["-c", &core.to_string(), "nginx", "-c"])
        .arg(file.display().to_string())
        .start(folder)?;
    wait::until_true("nginx answers", START, || answers(*http1)).await?;
    Ok(process)
}

async fn start_bare(folder: &Path, program: &Path, backend: u16) -> Result<Candidate> {
    let port = free_port()?;
    let process = Launch::new("bare", "taskset")
        .args(["-c".to_owned(), "0".to_owned(), program.display().to_string()])
        .args([port.to_string(), backend.to_string()])
        .start(folder)?;
    wait::until_true("the bare engine answers", START, || answers(port)).await?;
    Ok(Candidate {
        name: "bare engine".into(),
        ports: [(Protocol::Http1, port)].into(),
        process,
    })
}

async fn start_envoy(folder: &Path, pair: &Pair, backend: u16) -> Result<Candidate> {
    let (port, tls) = (free_port()?, free_port()?);
    let file = folder.join("envoy.yaml");
    let address = |port| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let kind = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    let route = json!({"virtual_hosts": [
        {"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a"}}]},
    ]});
    let router = json!({"@type": kind("filters.http.router.v3.Router")});
    let manager = json!({
        "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "a",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        "route_config": route,
    });
    let filters = json!([{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]);
    let certificate = json!({
        "certificate_chain": {"filename": pair.certificate}, "private_key": {"filename": pair.key},
    });
    let secure = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": kind("transport_sockets.tls.v3.DownstreamTlsContext"),
            "common_tls_context": {"tls_certificates": [certificate]},
        },
    });
    let endpoint = json!({"endpoint": {"address": address(backend)}});
    let cluster = json!({
        "name": "a", "load_assignment": {"cluster_name": "a", "endpoints": [{"lb_endpoints": [endpoint]}]},
    });
    let configuration = json!({"static_resources": {
        "listeners": [
            {"address": address(port), "filter_chains": [{"filters": filters}]},
            {"address": address(tls), "filter_chains": [{"filters": filters, "transport_socket": secure}]},
        ],
        "clusters": [cluster],
    }});
    // JSON is YAML.
    std::fs::write(&file, configuration.to_string())?;
    let process = Launch::new("envoy", "taskset")
        .args(["-c", "0", "envoy", "--concurrency", "1", "-l", "error", "-c"])
        .arg(file.display().to_string())
        .start(folder)?;
    wait::until_true("Envoy answers", START, || answers(port)).await?;
    let ports = [
        (Protocol::Http1, port),
        (Protocol::Tls, tls),
        (Protocol::Http2, port),
    ];
    Ok(Candidate {
        name: "Envoy".into(),
        ports: ports.into(),
        process,
    })
}

async fn answers(port: u16) -> Result<bool> {
    let answer = http1::get(product::local(port), PATH).await?;
    Ok(answer.status == 200 && answer.body.len() == 1024)
}

/// Requests that were answered, and how many a second.
fn load(protocol: Protocol, port: u16, seconds: u32) -> Result<(f64, f64)> {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]);
    match protocol {
        Protocol::Http1 => command
            .args(["wrk", "-t1", "-c64"])
            .arg(format!("-d{seconds}s"))
            .arg(format!("http://127.0.0.1:{port}{PATH}")),
        Protocol::Tls => command
            .args(["wrk", "-t1", "-c64"])
            .arg(format!("-d{seconds}s"))
            .arg(format!("https://127.0.0.1:{port}{PATH}")),
        Protocol::Http2 => command
            .args(["h2load", "-t1", "-c8", "-m8"])
            .arg(format!("-D{seconds}"))
            .arg(format!("http://127.0.0.1:{port}{PATH}")),
    };
    let out = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let is_good = match protocol {
        Protocol::Http1 | Protocol::Tls => !text.contains("Non-2xx"),
        Protocol::Http2 => text.contains(" 0 4xx, 0 5xx") && text.contains(" 0 errored"),
    };
    ensure!(
        out.status.success() && is_good,
        "the client was not answered well:\n{text}"
    );
    let number = |begin: &str, at: usize| -> Result<f64> {
        let line = text.lines().find(|line| line.trim_start().starts_with(begin));
        let word = line.and_then(|line| line.split_whitespace().nth(at));
        word.and_then(|word| word.parse().ok())
            .with_context(|| format!("the client printed something else:\n{text}"))
    };
    match protocol {
        Protocol::Http1 | Protocol::Tls => {
            let line = text.lines().find(|line| line.contains("requests in"));
            let count = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            let count = count.with_context(|| format!("wrk printed something else:\n{text}"))?;
            Ok((count, number("Requests/sec", 1)?))
        }
        Protocol::Http2 => Ok((number("requests:", 7)?, number("finished in", 3)?)),
    }
}

/// Nanoseconds that all threads of a process have been on a core.
fn on_cpu(id: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanos: u64 = text.split(' ').next().unwrap_or_default().parse()?;
        sum += nanos;
    }
    Ok(sum)
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
