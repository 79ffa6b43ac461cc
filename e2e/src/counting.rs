//! What a request costs a program by itself, counted by valgrind: the difference between a long and a short run, so that
//! nothing of the start is in it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http1::{Connection, Request};
use crate::process::Process;
use crate::product::local;

/// Of a whole run, or of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// In user space.
    pub instructions: f64,
    /// Calls of mimalloc that give memory.
    pub allocations: f64,
    pub system_calls: f64,
}

/// Where the counts of a run go.
#[derive(Debug)]
pub struct Counted(PathBuf);

/// What is sent, over connections that are kept.
#[derive(Debug, Clone, Copy)]
pub struct Load<'l> {
    pub path: &'l str,
    pub headers: &'l [(&'l str, &'l str)],
    pub connections: usize,
}

/// The names under which programs take memory from mimalloc.
const ALLOCATORS: [&str; 3] = ["mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned"];
const END: Duration = Duration::from_secs(60);

// === impl Counts ===

impl Counts {
    /// Of one request, if `short` and `long` requests took `few` and `many`.
    pub fn of_one((short, few): (usize, Self), (long, many): (usize, Self)) -> Self {
        let requests = (long - short) as f64;
        Self {
            instructions: (many.instructions - few.instructions) / requests,
            allocations: (many.allocations - few.allocations) / requests,
            system_calls: (many.system_calls - few.system_calls) / requests,
        }
    }

    /// From what callgrind wrote.
    fn read(text: &str) -> Result<Self> {
        let events = text.lines().find_map(|line| line.strip_prefix("events: "));
        let totals = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
        let (events, totals) = events.zip(totals).context("there are no totals")?;
        let totals: HashMap<&str, &str> = events.split(' ').zip(totals.split(' ')).collect();
        let total = |event: &str| -> Result<f64> {
            let total = totals
                .get(event)
                .with_context(|| format!("{event} was not counted"))?;
            Ok(total.parse()?)
        };
        Ok(Self {
            instructions: total("Ir")?,
            system_calls: total("sysCount")?,
            allocations: allocations(text)?,
        })
    }
}

/// Calls of the allocator. A name stands where it comes first, behind its number; from then on the number stands alone.
fn allocations(text: &str) -> Result<f64> {
    let mut numbers = Vec::new();
    let mut is_allocation = false;
    let mut calls = 0;
    for line in text.lines() {
        if let Some((number, name)) = line
            .strip_prefix("fn=")
            .or_else(|| line.strip_prefix("cfn="))
            .and_then(|named| named.split_once(' '))
            && ALLOCATORS.contains(&name)
        {
            numbers.push(number);
        }
        if let Some(called) = line.strip_prefix("cfn=") {
            let number = called.split(' ').next().unwrap_or_default();
            is_allocation = numbers.contains(&number);
        } else if let Some(count) = line.strip_prefix("calls=").filter(|_| is_allocation) {
            calls += count.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    ensure!(
        calls > 0,
        "nothing was allocated with mimalloc: is it still the allocator?"
    );
    Ok(calls as f64)
}

// === impl Counted ===

impl Counted {
    /// The words in front of a program whose counts go into the folder, and where that is.
    pub fn under(folder: &Path, name: &str) -> (Vec<String>, Self) {
        let path = folder.join(format!("{name}.callgrind"));
        let out = format!("--callgrind-out-file={}", path.display());
        let words = ["valgrind", "--tool=callgrind", "--collect-systime=yes", &out];
        (words.map(str::to_owned).to_vec(), Self(path))
    }

    /// Sends so many requests to the port, ends the process and reads what was counted.
    pub async fn take(
        self,
        process: &mut Process,
        port: u16,
        requests: usize,
        load: Load<'_>,
    ) -> Result<Counts> {
        load.send(port, requests).await?;
        process.stop(END).await?;
        let text = std::fs::read_to_string(&self.0).context("valgrind wrote no counts; is it installed?")?;
        Counts::read(&text).with_context(|| self.0.display().to_string())
    }
}

// === impl Load ===

impl Load<'_> {
    async fn send(&self, port: u16, requests: usize) -> Result<()> {
        let client = async || {
            let mut connection = Connection::open(local(port)).await?;
            for _ in 0..requests / self.connections {
                let request = Request {
                    headers: self.headers,
                    ..Request::get(self.path)
                };
                let answer = connection.send(request).await?;
                ensure!(answer.status == 200, "the answer is {}", answer.status);
            }
            anyhow::Ok(())
        };
        futures::future::try_join_all((0..self.connections).map(|_| client())).await?;
        Ok(())
    }
}

/// Whether valgrind is there.
pub fn is_possible() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("valgrind").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_those_of_the_start_are_taken_off() {
        let text = "events: Ir sysCount sysTime\nfn=(1) main\ncfn=(2) mi_malloc_aligned\ncalls=3 0\n1 9\n\
            fn=(2)\n1 5\nfn=(3) other\ncfn=(2)\ncalls=4 0\n1 9\ncfn=(4) mi_free\ncalls=7 0\n1 9\ntotals: 100 6 9\n";
        let many = Counts::read(text).unwrap();
        let expected = Counts {
            instructions: 100.0,
            allocations: 7.0,
            system_calls: 6.0,
        };
        assert_eq!(many, expected);
        let few = Counts {
            instructions: 60.0,
            allocations: 3.0,
            system_calls: 2.0,
        };
        let one = Counts::of_one((10, few), (12, many));
        assert_eq!(
            (one.instructions, one.allocations, one.system_calls),
            (20.0, 2.0, 2.0)
        );
        assert!(
            Counts::read("events: Ir sysCount\ntotals: 1 1\n").is_err(),
            "no allocation"
        );
    }
}
