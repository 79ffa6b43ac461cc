//! Everything about callers that the process starts with and looks after.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use genkan_callers::{
    AccessReviewer, Authorization, CallerAuthorities, ClusterSource, Identity, Keys, Kubernetes, Limits,
    SourceError, Tokens,
};

use crate::cli::{AuthenticationArgs, ForwardAuthorization};
use crate::client_certificate::{ClientCertificate, Files, PairError};
use crate::files::{self, FromFiles};
use crate::metrics::Metrics;

/// Who calls, what they may do, and what backends learn of it.
#[derive(Debug)]
pub struct Callers {
    pub identity: Identity,
    pub authorization: Authorization,
    pub certificate: Arc<ClientCertificate>,
    /// Verified credentials reach every backend, whether its object asks for them or not.
    pub forwards_always: bool,
    /// For users that become known otherwise than by a token.
    pub keys: Arc<Keys>,
    kubernetes: Option<Arc<Kubernetes>>,
    metrics: Arc<Metrics>,
}

/// Why callers cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum CallersError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("--proxy-client-cert-file and --proxy-client-key-file cannot be used: {0}")]
    Pair(#[from] PairError),
}

/// Between two looks for decisions that are over.
const SWEEP: Duration = Duration::from_secs(30);

// === impl Callers ===

impl Callers {
    /// `authorities` are those whose client certificates count.
    ///
    /// # Errors
    /// One sentence for the person who started the process.
    pub fn new(
        args: &AuthenticationArgs,
        authorities: Option<Arc<CallerAuthorities>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CallersError> {
        let files = args
            .proxy_client_cert_file
            .clone()
            .zip(args.proxy_client_key_file.clone());
        let mut certificate =
            ClientCertificate::load(files.map(|(certificate, key)| Files { certificate, key }))?;
        let source = match args.is_disabled() {
            true => None,
            false => Some(ClusterSource::find(args.kubeconfig.as_deref())?),
        };
        if let Some(source) = &source {
            certificate.withhold_from(source.load()?.authority);
        }
        let keys = Arc::new(Keys::default());
        let mut this = Self {
            identity: Identity::disabled(&keys),
            authorization: Authorization::disabled(),
            certificate: Arc::new(certificate),
            forwards_always: args.forward_authorization == ForwardAuthorization::Always,
            keys: Arc::clone(&keys),
            kubernetes: None,
            metrics,
        };
        let Some(source) = source else {
            return Ok(this);
        };
        let kubernetes = Arc::new(Kubernetes::new(source)?);
        let limits = Limits::new(args.stale_if_error);
        let tokens = Tokens::new(
            args.places(),
            args.audience.clone(),
            Arc::clone(&kubernetes),
            Arc::clone(&keys),
            limits,
            this.metrics.tokens.clone(),
        );
        this.identity = Identity::new(tokens, authorities);
        let reviewer =
            AccessReviewer::new(Arc::clone(&kubernetes), keys, limits, this.metrics.access.clone());
        this.authorization = Authorization::new(args.access_review.into(), reviewer);
        this.kubernetes = Some(kubernetes);
        Ok(this)
    }

    /// Reads replaced files and forgets what is over, for ever.
    pub async fn maintain(self: Arc<Self>) {
        let reload = async {
            match &self.kubernetes {
                Some(kubernetes) => files::watch(Arc::clone(kubernetes), Arc::clone(&self.metrics)).await,
                None => std::future::pending().await,
            }
        };
        let sweep = async {
            loop {
                tokio::time::sleep(SWEEP).await;
                let now = Instant::now();
                self.identity.sweep(now);
                self.authorization.sweep(now);
            }
        };
        let watch = async {
            if self.certificate.is_given() {
                files::watch(Arc::clone(&self.certificate), Arc::clone(&self.metrics)).await;
            }
        };
        tokio::join!(reload, sweep, watch);
    }
}

impl FromFiles for Kubernetes {
    type Error = SourceError;
    const NAME: &'static str = "api-server-credential";

    fn reload(&self) -> Result<bool, SourceError> {
        Kubernetes::reload(self)
    }
}
