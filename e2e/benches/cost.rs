//! What a request costs in CPU time, beside nginx (and Envoy, where it is installed) in the same run; prints a table.
//!
//! `make bench` builds the programs as they are published and runs this. Core 0 belongs to the proxy that is measured,
//! core 1 to the backend (nginx, 1 KiB from memory) and to wrk: one thread, 64 connections that are kept. CPU is the time
//! on a core of all threads of the proxy, divided by the requests in that time; the median of the rounds.
//! genkan writes an access line for every request; nginx writes none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genkan_e2e::http1;
use genkan_e2e::process::{Launch, Process};
use genkan_e2e::product;
use genkan_e2e::programs::Programs;
use genkan_e2e::wait;

#[path = "machine.rs"]
mod machine;

use genkan_e2e::installation::{Installation, PATH, free_port};

const ROUNDS: usize = 5;
const START: Duration = Duration::from_secs(60);

struct Candidate {
    name: String,
    port: u16,
    process: Process,
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
    for tool in ["nginx", "wrk", "taskset"] {
        ensure!(
            is_installed(tool),
            "{tool} is not installed; the comparison needs nginx, wrk and taskset"
        );
    }
    let programs = Programs::build()?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let backend = free_port()?;
    let page = format!("return 200 '{}';", "x".repeat(1024));
    let _backend = nginx("backend", folder, 1, backend, "", &page).await?;
    let forward = "proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection '';";
    let pool = format!("upstream backend {{ server 127.0.0.1:{backend}; keepalive 512; }}");
    let port = free_port()?;
    let mut candidates = vec![Candidate {
        name: "nginx".into(),
        port,
        process: nginx("nginx", folder, 0, port, &pool, forward).await?,
    }];
    let mut operators = Vec::new();
    for routes in [1, 10_000] {
        let name = format!("genkan-{routes}");
        let (on_a_core, nobody) = (["taskset", "-c", "0"], ["--authentication", "disabled"]);
        let genkan = Installation::start(
            &programs,
            &folder.join(&name),
            routes,
            backend,
            &on_a_core,
            &nobody,
        )
        .await?;
        operators.push(genkan.operator);
        candidates.push(Candidate {
            name: format!("genkan, {routes} routes"),
            port: genkan.port,
            process: genkan.process,
        });
    }
    let envoy = is_installed("envoy");
    if envoy {
        candidates.push(start_envoy(folder, backend).await?);
    }
    let mut costs: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for place in 0..candidates.len() {
            let index = (place + round) % candidates.len();
            let candidate = &candidates[index];
            load(candidate.port, 1)?;
            let before = on_cpu(candidate.process.id())?;
            let (requests, rate) = load(candidate.port, 5)?;
            let spent = on_cpu(candidate.process.id())? - before;
            costs
                .entry(index)
                .or_default()
                .push((spent as f64 / 1e3 / requests, rate));
        }
    }
    let mut table = String::from(
        "\nproxy                 | CPU µs a request | range       | requests/s | beside nginx\n",
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
            candidates[*index].name,
            median(&micros),
            micros[0],
            micros[micros.len() - 1],
            median(&rates),
            median(&micros) / base,
        )?;
    }
    if !envoy {
        table += "Envoy is not installed here, and was not measured.\n";
    }
    Ok(table)
}

async fn nginx(
    name: &str,
    folder: &Path,
    core: u32,
    port: u16,
    outside: &str,
    inside: &str,
) -> Result<Process> {
    let file = folder.join(format!("{name}.conf"));
    let (pid, temporary) = (folder.join(format!("{name}.pid")), folder.display());
    std::fs::write(
        &file,
        format!(
            "daemon off; master_process off; worker_processes 1; pid {}; error_log stderr crit;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {temporary}/b;\n\
             proxy_temp_path {temporary}/p; fastcgi_temp_path {temporary}/f; uwsgi_temp_path {temporary}/u;\n\
             scgi_temp_path {temporary}/s; {outside}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ {inside} }} }} }}\n",
            pid.display()
        ),
    )?;
    let process = Launch::new(name, "taskset")
        .args(["-c", &core.to_string(), "nginx", "-c"])
        .arg(file.display().to_string())
        .start(folder)?;
    wait::until_true("nginx answers", START, || answers(port)).await?;
    Ok(process)
}

async fn start_envoy(folder: &Path, backend: u16) -> Result<Candidate> {
    let port = free_port()?;
    let file = folder.join("envoy.yaml");
    std::fs::write(
        &file,
        format!(
            "static_resources:\n  listeners:\n  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}\n    \
             filter_chains:\n    - filters:\n      - name: envoy.filters.network.http_connection_manager\n        typed_config:\n          \
             '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n          \
             stat_prefix: a\n          http_filters: [{{name: envoy.filters.http.router, typed_config: {{'@type': \
             type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}]\n          route_config: {{virtual_hosts: \
             [{{name: a, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: a}}}}]}}]}}\n  clusters:\n  - name: a\n    \
             load_assignment: {{cluster_name: a, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: \
             127.0.0.1, port_value: {backend}}}}}}}}}]}}]}}\n"
        ),
    )?;
    let process = Launch::new("envoy", "taskset")
        .args(["-c", "0", "envoy", "--concurrency", "1", "-l", "error", "-c"])
        .arg(file.display().to_string())
        .start(folder)?;
    wait::until_true("Envoy answers", START, || answers(port)).await?;
    let name = "Envoy".into();
    Ok(Candidate { name, port, process })
}

async fn answers(port: u16) -> Result<bool> {
    let answer = http1::get(product::local(port), PATH).await?;
    Ok(answer.status == 200 && answer.body.len() == 1024)
}

/// Requests that were answered, and how many a second.
fn load(port: u16, seconds: u32) -> Result<(f64, f64)> {
    let out = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c64"])
        .arg(format!("-d{seconds}s"))
        .arg(format!("http://127.0.0.1:{port}{PATH}"))
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(
        out.status.success() && !text.contains("Non-2xx"),
        "wrk was not answered well:\n{text}"
    );
    let number = |line: Option<&str>, at: usize| -> Result<f64> {
        let word = line.and_then(|line| line.split_whitespace().nth(at));
        word.and_then(|word| word.parse().ok())
            .with_context(|| format!("wrk printed something else:\n{text}"))
    };
    Ok((
        number(text.lines().find(|line| line.contains("requests in")), 0)?,
        number(text.lines().find(|line| line.starts_with("Requests/sec")), 1)?,
    ))
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
