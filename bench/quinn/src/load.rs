//! The client. Obeys orders, one line of JSON each on stdin, and answers each with a line. A call that fails ends it.
use crate::{frame, roots, socket, Identity, Outcome, ALPN, MAX_FRAME_BYTES};
use quinn::{
    crypto::rustls::QuicClientConfig, ClientConfig, Connection, Endpoint, NoneTokenStore,
    TransportConfig,
};
use rustls::client::Resumption;
use serde::Deserialize;
use std::{
    cell::Cell,
    io::BufRead,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};

const REQUEST: &str = r#"{"protocol_version":1,"method":"node.health"}"#;

const CONNECT_LIMIT: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setup {
    address: SocketAddr,
    server_name: String,
    /// PEM of the roots that the server is checked against.
    roots: String,
    /// Connections take them in turn.
    identities: Vec<Identity>,
}

#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "work"
)]
enum Order {
    /// So many times: handshake, one call, close.
    Handshakes { calls: usize, at_once: usize },
    /// So many calls on one connection.
    Calls { calls: usize, at_once: usize },
    /// Opens connections, each with one call, and keeps them.
    Hold { calls: usize, at_once: usize },
    /// One call on each connection that is kept, all at once.
    Ping,
}

struct Client {
    endpoint: Endpoint,
    address: SocketAddr,
    server_name: String,
    configs: Vec<ClientConfig>,
    next: Cell<usize>,
}

/// Between orders the connections live on: acknowledgements are sent, timers run.
pub async fn run(setup: Setup) -> Outcome<()> {
    let mut caller = Caller {
        client: Rc::new(Client::new(setup)?),
        standing: None,
        held: Vec::new(),
    };
    let mut lines = lines_of_stdin();
    while let Some(line) = lines.recv().await {
        let order: Order = serde_json::from_str(&line?)?;
        let start = Instant::now();
        let calls = caller.obey(order).await?;
        let micros = start.elapsed().as_micros() as u64;
        println!(
            "{}",
            serde_json::json!({ "calls": calls, "micros": micros })
        );
    }
    Ok(())
}

fn lines_of_stdin() -> UnboundedReceiver<std::io::Result<String>> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

struct Caller {
    client: Rc<Client>,
    standing: Option<Connection>,
    held: Vec<Connection>,
}

impl Caller {
    /// How many calls it made.
    async fn obey(&mut self, order: Order) -> Outcome<usize> {
        let client = self.client.clone();
        match order {
            Order::Handshakes { calls, at_once } => {
                share_out(calls, at_once, |_| handshake(client.clone())).await?;
                Ok(calls)
            }
            Order::Calls { calls, at_once } => {
                let connection = match &self.standing {
                    Some(connection) => connection.clone(),
                    None => self.standing.insert(client.connect().await?).clone(),
                };
                share_out(calls, at_once, |_| call(connection.clone())).await?;
                Ok(calls)
            }
            Order::Hold { calls, at_once } => {
                self.held
                    .extend(share_out(calls, at_once, |_| opened(client.clone())).await?);
                Ok(calls)
            }
            Order::Ping => {
                let held = &self.held;
                share_out(held.len(), held.len(), |index| call(held[index].clone())).await?;
                Ok(held.len())
            }
        }
    }
}

impl Client {
    fn new(setup: Setup) -> Outcome<Client> {
        let endpoint = Endpoint::new(
            Default::default(),
            None,
            socket()?,
            Arc::new(quinn::TokioRuntime),
        )?;
        let configs = setup
            .identities
            .iter()
            .map(|own| config(&setup.roots, own))
            .collect::<Outcome<_>>()?;
        let Setup {
            address,
            server_name,
            ..
        } = setup;
        Ok(Client {
            endpoint,
            address,
            server_name,
            configs,
            next: Cell::new(0),
        })
    }

    async fn connect(&self) -> Outcome<Connection> {
        let index = self.next.replace(self.next.get() + 1) % self.configs.len();
        let config = self.configs[index].clone();
        Ok(self
            .endpoint
            .connect_with(config, self.address, &self.server_name)?
            .await?)
    }
}

/// Full handshakes only: nothing is resumed.
fn config(trusted: &str, own: &Identity) -> Outcome<ClientConfig> {
    let (chain, key) = own.parsed()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(trusted)?)
        .with_client_auth_cert(chain, key)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.resumption = Resumption::disabled();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    // No address tokens from earlier connections: each begins with a Retry, as with the service.
    config.token_store(Arc::new(NoneTokenStore));
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(None);
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Does `count` things, `at_once` at a time; the first failure is the answer.
async fn share_out<T, F>(count: usize, at_once: usize, once: impl Fn(usize) -> F) -> Outcome<Vec<T>>
where
    T: 'static,
    F: std::future::Future<Output = Outcome<T>> + 'static,
{
    let mut running = tokio::task::JoinSet::new();
    let mut done = Vec::with_capacity(count);
    for index in 0..count {
        if running.len() >= at_once {
            if let Some(result) = running.join_next().await {
                done.push(result??);
            }
        }
        running.spawn_local(once(index));
    }
    while let Some(result) = running.join_next().await {
        done.push(result??);
    }
    Ok(done)
}

async fn handshake(client: Rc<Client>) -> Outcome<()> {
    opened(client).await?.close(0u32.into(), b"");
    Ok(())
}

async fn opened(client: Rc<Client>) -> Outcome<Connection> {
    let connection = tokio::time::timeout(CONNECT_LIMIT, client.connect()).await??;
    call(connection.clone()).await?;
    Ok(connection)
}

async fn call(connection: Connection) -> Outcome<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&frame(REQUEST)).await?;
    send.finish()?;
    let answer = receive.read_to_end(MAX_FRAME_BYTES).await?;
    let body: serde_json::Value = serde_json::from_slice(answer.get(4..).ok_or("no answer")?)?;
    if body["ok"] == true {
        Ok(())
    } else {
        Err(format!("answered with {body}").into())
    }
}
