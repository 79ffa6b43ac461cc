use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Resolver;

/// Asks `/etc/hosts` and the name servers of `/etc/resolv.conf`, as they are when it is asked.
#[derive(Default)]
pub struct System {
    current: Mutex<Option<(Stamp, Arc<TokioResolver>)>>,
}

/// When the two files were last changed.
type Stamp = [Option<SystemTime>; 2];

const FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

impl System {
    fn resolver(&self) -> Result<Arc<TokioResolver>, String> {
        let stamp = FILES.map(|file| std::fs::metadata(file).and_then(|meta| meta.modified()).ok());
        let mut current = self.current.lock();
        if let Some((of, resolver)) = current.as_ref()
            && *of == stamp
        {
            return Ok(Arc::clone(resolver));
        }
        let resolver = build().map_err(|error| format!("the system's resolver cannot be used: {error}"))?;
        let resolver = Arc::new(resolver);
        *current = Some((stamp, Arc::clone(&resolver)));
        Ok(resolver)
    }
}

fn build() -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = TokioResolver::builder_tokio()?;
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Always;
    // Freshness is the refreshers' business: a cache would hide from them how old an answer is.
    options.cache_size = 0;
    options.timeout = Duration::from_secs(2);
    options.attempts = 2;
    builder.build()
}

#[async_trait::async_trait]
impl Resolver for System {
    async fn resolve(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), String> {
        let resolver = self.resolver()?;
        let found = resolver
            .lookup_ip(name)
            .await
            .map_err(|error| error.to_string())?;
        let ttl = found
            .valid_until()
            .saturating_duration_since(Instant::now().into_std());
        Ok((found.iter().collect(), ttl))
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("System")
    }
}
