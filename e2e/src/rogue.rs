//! A rogue client of the configuration stream: it says what a proxy would not.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use genkan_proto::v1alpha1::config_stream_client::ConfigStreamClient;
use genkan_proto::v1alpha1::{
    Ack, Hello, OperatorMessage, ProxyMessage, Resource, operator_message, proxy_message,
};
use genkan_proto::{PROTOCOL_VERSION, decompress};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};

/// How it calls itself, whoever it is.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    pub name: &'a str,
    pub instance: &'a str,
}

/// An open stream.
#[derive(Debug)]
pub struct Rogue {
    out: mpsc::Sender<ProxyMessage>,
    messages: Streaming<OperatorMessage>,
}

/// A connection that trusts this authority.
pub async fn connect(operator: SocketAddr, ca: &str) -> Result<Channel> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    let endpoint = Endpoint::from_shared(format!("https://{operator}"))?.tls_config(tls)?;
    Ok(endpoint.connect().await?)
}

/// A connection in plain text.
pub async fn connect_plain(operator: SocketAddr) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{operator}"))?
        .connect()
        .await?)
}

// === impl Rogue ===

impl Rogue {
    /// Opens a stream, with or without a token.
    pub async fn open(channel: &Channel, token: Option<&str>, named: Named<'_>) -> Result<Self, Status> {
        let (out, queue) = mpsc::channel(8);
        let hello = Hello {
            protocol_version: PROTOCOL_VERSION,
            name: named.name.to_owned(),
            instance: named.instance.to_owned(),
            ..Hello::default()
        };
        // Both ends of a new channel are ours: there is room.
        let _ = out.try_send(message(proxy_message::Message::Hello(hello)));
        let mut request = Request::new(ReceiverStream::new(queue));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse();
            let value = value.map_err(|_| Status::internal("this token fits into no header"))?;
            request.metadata_mut().insert("authorization", value);
        }
        let mut client = ConfigStreamClient::new(channel.clone());
        let messages = client.subscribe(request).await?.into_inner();
        Ok(Self { out, messages })
    }

    /// Acknowledges whatever comes, until the stream has been silent for this long. Returns the keys of what came, and
    /// its bytes.
    pub async fn received(&mut self, silence: Duration) -> Result<(Vec<String>, usize)> {
        let (mut keys, mut bytes, mut frame) = (Vec::new(), 0, Vec::new());
        while let Ok(received) = tokio::time::timeout(silence, self.messages.message()).await {
            let chunk = match received?.and_then(|received| received.message) {
                Some(operator_message::Message::Snapshot(chunk)) => chunk,
                Some(_) => continue,
                None => bail!("the stream has ended"),
            };
            bytes += chunk.payload.len();
            frame.extend_from_slice(&chunk.payload);
            if chunk.last {
                let snapshot = decompress(&std::mem::take(&mut frame))?;
                for upsert in snapshot.upserts {
                    keys.push(Resource::decode(upsert)?.key);
                }
                self.acknowledge(chunk.nonce, chunk.new_hash).await?;
            }
        }
        Ok((keys, bytes))
    }

    /// Acknowledges whatever comes, until the stream has been silent for this long. Returns how much it was.
    pub async fn acknowledge_all(&mut self, silence: Duration) -> Result<usize> {
        let mut count = 0;
        while let Ok(received) = tokio::time::timeout(silence, self.messages.message()).await {
            let Some(OperatorMessage {
                message: Some(operator_message::Message::Snapshot(chunk)),
            }) = received?
            else {
                bail!("the stream has ended");
            };
            if chunk.last {
                self.acknowledge(chunk.nonce, chunk.new_hash).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn acknowledge(&self, nonce: u64, hash: Vec<u8>) -> Result<()> {
        let ack = Ack {
            nonce,
            hash,
            ..Ack::default()
        };
        Ok(self.out.send(message(proxy_message::Message::Ack(ack))).await?)
    }

    /// Waits until the operator ends the stream.
    pub async fn ended(&mut self, limit: Duration) -> Result<Status> {
        let end = async {
            loop {
                match self.messages.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok("closed"),
                    Err(status) => return status,
                }
            }
        };
        Ok(tokio::time::timeout(limit, end).await?)
    }
}

fn message(message: proxy_message::Message) -> ProxyMessage {
    ProxyMessage {
        message: Some(message),
    }
}
