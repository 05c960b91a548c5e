//! `quinn-bench serve` and `quinn-bench load`: a server to compare the service with, and the client for both. The setup
//! is one line of JSON on stdin; certificates and keys never stand in argv. All work is done by one thread.
mod load;
mod serve;

use rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer};
use rustls::RootCertStore;
use serde::Deserialize;
use std::{io::BufRead, net::SocketAddr};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub const ALPN: &[u8] = b"palyra-quic-v1";
/// Larger answers are taken for a fault.
pub const MAX_FRAME_BYTES: usize = 4 + 512 * 1024;
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// PEM each.
#[derive(Deserialize)]
pub struct Identity {
    pub chain: String,
    pub key: String,
}

impl Identity {
    pub fn parsed(&self) -> Outcome<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        Ok((
            certificates(&self.chain)?,
            PrivateKeyDer::from_pem_slice(self.key.as_bytes())?,
        ))
    }
}

pub fn roots(pem: &str) -> Outcome<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate)?;
    }
    Ok(store)
}

fn certificates(pem: &str) -> Outcome<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// A frame of the protocol: four bytes of length, most significant first, then JSON.
pub fn frame(json: &str) -> Vec<u8> {
    let mut bytes = (json.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

/// The mass of first packets and closes is lost in the system's small default buffers.
pub fn socket() -> Outcome<std::net::UdpSocket> {
    let at: SocketAddr = "127.0.0.1:0".parse()?;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.bind(&at.into())?;
    Ok(socket.into())
}

fn main() -> Outcome<()> {
    let mut setup = String::new();
    std::io::stdin().lock().read_line(&mut setup)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match std::env::args().nth(1).as_deref() {
        Some("serve") => runtime.block_on(serve::run(serde_json::from_str(&setup)?)),
        Some("load") => {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, load::run(serde_json::from_str(&setup)?))
        }
        _ => Err("usage: quinn-bench serve|load".into()),
    }
}
