//! A plain quinn server: Retry, mandatory client certificates, no tickets; each request is parsed and answered with the
//! same bytes. No admission, no registry.
use crate::{frame, roots, socket, Identity, Outcome, ALPN, MAX_FRAME_BYTES};
use quinn::{
    crypto::rustls::QuicServerConfig, Connection, Endpoint, EndpointConfig, Incoming, RecvStream,
    SendStream,
};
use quinn::{ServerConfig, TransportConfig, VarInt};
use quinn_proto::RandomConnectionIdGenerator;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

const ANSWER: &str = concat!(
    r#"{"protocol_version":1,"kind":"health","ok":true,"node_rpc_mtls_required":true,"result":{"#,
    r#""device_id":"00000000-0000-7000-8000-000000000000","trust_domain":"bench.palyra.internal","#,
    r#""server_time_ms":1700000000000,"version":"0.0.0"}}"#
);
const IDLE_TIMEOUT_MS: u32 = 120_000;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_STREAMS: u32 = 128;
const CONNECTION_ID_BYTES: usize = 8;

#[derive(Deserialize)]
pub struct Setup {
    identity: Identity,
    /// PEM of the roots that clients are checked against.
    roots: String,
}

pub async fn run(setup: Setup) -> Outcome<()> {
    let endpoint = Endpoint::new(
        endpoint_config(),
        Some(config(&setup)?),
        socket()?,
        Arc::new(quinn::TokioRuntime),
    )?;
    println!(
        "{}",
        serde_json::json!({ "event": "ready", "quic": endpoint.local_addr()?.to_string() })
    );
    while let Some(incoming) = endpoint.accept().await {
        if incoming.remote_address_validated() {
            tokio::spawn(connection(incoming));
        } else {
            let _ = incoming.retry();
        }
    }
    Ok(())
}

/// quinn's own connection ids have 24 random bits. One that is given out with a Retry may be in use already, and then
/// the client's packets go to another connection: with 2000 of them every second run lost one that way.
fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_BYTES)));
    config
}

fn config(setup: &Setup) -> Outcome<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots(&setup.roots)?),
        provider.clone(),
    )
    .build()?;
    let (chain, key) = setup.identity.parsed()?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(MAX_STREAMS.into());
    transport.max_concurrent_uni_streams(0u32.into());
    transport.max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS).into()));
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

async fn connection(incoming: Incoming) {
    let Ok(connecting) = incoming.accept() else {
        return;
    };
    let Ok(Ok(connection)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await else {
        return;
    };
    streams(connection).await;
}

async fn streams(connection: Connection) {
    while let Ok((send, receive)) = connection.accept_bi().await {
        tokio::spawn(answer(send, receive));
    }
}

/// A request that is not a frame of JSON gets no answer.
async fn answer(mut send: SendStream, mut receive: RecvStream) {
    let Ok(request) = receive.read_to_end(MAX_FRAME_BYTES).await else {
        return;
    };
    let Some(body) = request.get(4..) else { return };
    if serde_json::from_slice::<serde_json::Value>(body).is_err() {
        return;
    }
    if send.write_all(&frame(ANSWER)).await.is_ok() {
        let _ = send.finish();
    }
}
