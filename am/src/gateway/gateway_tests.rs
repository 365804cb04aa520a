//! The gateway over loopback, with a fake executor on the other side.

use super::*;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::frame::{self, Decoder};
use wire::id::{BootNonce, ExecutorId};
use wire::message::{Envelope, ExecutorMessage, GatewayMessage, Heartbeat, Hello, Refusal, Welcome};
use wire::security::ApplicationKeys;
use wire::version::{PROTOCOL, Version};

use crate::gateway::Admission;
use crate::gateway::admission::{Denial, Gate, Known};
use crate::gateway::links::Links;

const EPOCH: Epoch = Epoch(2);
const BOOT: BootNonce = BootNonce(99);
const LONG: Duration = Duration::from_secs(120);

/// A served gateway and its keys.
struct Bench {
    port: u16,
    keys: ApplicationKeys,
    events: mpsc::Receiver<GatewayEvent>,
    links: Links,
    turned_away: Counter,
    _server: JoinSet<()>,
}

impl Bench {
    async fn new(limits: Limits) -> Self {
        Self::with_queue(limits, 16).await
    }

    async fn with_queue(limits: Limits, events: usize) -> Self {
        let keys = ApplicationKeys::issue().unwrap();
        let gateway = Gateway::bind().await.unwrap();
        let port = gateway.address().unwrap().port();
        let (sender, events) = mpsc::channel(events);
        let turned_away = gateway.turned_away();
        let mut server = JoinSet::new();
        server.spawn(gateway.serve(&keys.am, EPOCH, limits, sender).unwrap());
        Self {
            port,
            keys,
            events,
            links: Links::default(),
            turned_away,
            _server: server,
        }
    }

    async fn dial(&self, identity: &Identity) -> io::Result<Client> {
        let connector = TlsConnector::from(security::client_config(identity).unwrap());
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        let stream = connector.connect(security::server_name(), tcp).await?;
        Ok(Client {
            stream,
            decoder: Decoder::default(),
        })
    }

    async fn executor(&self) -> Client {
        self.dial(&self.keys.executor).await.unwrap()
    }

    async fn event(&mut self) -> GatewayEvent {
        tokio::time::timeout(LONG, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Decides about the next hello as the ApplicationMaster's loop does.
    async fn decide(&mut self, known: Known) -> Result<(), Denial> {
        let GatewayEvent::Hello {
            connection,
            epoch,
            boot,
            hello,
            reply,
        } = self.event().await
        else {
            panic!("a hello was expected");
        };
        let verdict = gate().check(&hello, epoch, boot, known);
        let admission = match &verdict {
            Ok(()) => Admission::Admitted(self.links.attach(&hello.executor, boot, connection)),
            Err(Denial::Refuse(reason, message)) => Admission::Refused {
                reason: *reason,
                message: message.clone(),
            },
            Err(Denial::HigherEpoch(_)) => return verdict,
        };
        reply.send(admission).unwrap();
        verdict
    }
}

fn gate() -> Gate {
    Gate {
        application: "application_1_0001".into(),
        build: "abc".into(),
        epoch: EPOCH,
        ending: false,
    }
}

fn id() -> ExecutorId {
    "container_1_0001_02_000002".parse().unwrap()
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        build: "abc".into(),
        application: "application_1_0001".into(),
        executor: id(),
        host: "nm1".into(),
        pid: 1,
        slots: 2,
        memory: 1 << 29,
        started_unix_ms: 0,
        running: vec![],
    }
}

fn welcome() -> GatewayMessage {
    let second = Duration::from_secs(1);
    GatewayMessage::Welcome(Welcome {
        heartbeat: second,
        silence: second,
        am_lost_ttl: second,
    })
}

struct Client {
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
}

impl Client {
    async fn say(&mut self, message: ExecutorMessage, boot: BootNonce, epoch: Epoch) {
        let mut out = BytesMut::new();
        frame::encode(Envelope { epoch, boot, message }, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn greet(&mut self, hello: Hello) {
        self.say(ExecutorMessage::Hello(hello), BOOT, EPOCH).await;
    }

    /// The next message, or nothing at the end of the connection.
    async fn hear(&mut self) -> Option<GatewayMessage> {
        loop {
            if let Some(envelope) = self.decoder.next_frame::<GatewayMessage>().unwrap() {
                assert_eq!((envelope.epoch, envelope.boot), (EPOCH, BOOT));
                return Some(envelope.message);
            }
            let read = tokio::time::timeout(LONG, self.stream.read_buf(self.decoder.buffer()))
                .await
                .unwrap();
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }
}

#[tokio::test]
async fn an_executor_is_welcomed_heard_and_spoken_to() {
    let mut bench = Bench::new(Limits::default()).await;
    let mut client = bench.executor().await;
    client.greet(hello()).await;
    bench.decide(Known::Live(None)).await.unwrap();
    bench.links.send(&id(), welcome());
    assert_eq!(client.hear().await, Some(welcome()));
    client
        .say(ExecutorMessage::Heartbeat(Heartbeat::default()), BOOT, EPOCH)
        .await;
    let event = bench.event().await;
    assert!(
        matches!(&event, GatewayEvent::Received { executor, messages, .. } if *executor == id() && matches!(messages[..], [ExecutorMessage::Heartbeat(_)])),
        "{event:?}"
    );
    drop(client);
    let GatewayEvent::Closed {
        executor, connection, ..
    } = bench.event().await
    else {
        panic!("the end of the connection was expected");
    };
    assert!(bench.links.closed(&executor, connection));
}

#[tokio::test]
async fn who_is_held_back_because_nobody_listens_is_spoken_to_all_the_same() {
    let mut bench = Bench::with_queue(Limits::default(), 1).await;
    let mut client = bench.executor().await;
    client.greet(hello()).await;
    bench.decide(Known::Live(None)).await.unwrap();
    for _ in 0..4 {
        client
            .say(ExecutorMessage::Heartbeat(Heartbeat::default()), BOOT, EPOCH)
            .await;
        bench.links.send(&id(), welcome());
        assert_eq!(client.hear().await, Some(welcome()));
    }
    assert!(matches!(bench.event().await, GatewayEvent::Received { .. }));
}

#[tokio::test]
async fn wrong_version_build_and_unknown_executors_are_refused_with_words() {
    let mut bench = Bench::new(Limits::default()).await;
    let version = Hello {
        protocol: Version { major: 9, minor: 0 },
        ..hello()
    };
    let build = Hello {
        build: "ffffff".into(),
        ..hello()
    };
    let cases = [
        (
            version,
            Known::Live(None),
            Refusal::ProtocolVersion,
            "this ApplicationMaster speaks protocol 1.1, not 9.0",
        ),
        (
            build,
            Known::Live(None),
            Refusal::Build,
            "this is build abc, not ffffff",
        ),
        (
            hello(),
            Known::Unknown,
            Refusal::UnknownExecutor,
            "container_1_0001_02_000002 is no container of ours",
        ),
        (
            hello(),
            Known::GivenUp,
            Refusal::Fenced,
            "container_1_0001_02_000002 was given up",
        ),
    ];
    for (hello, known, reason, words) in cases {
        let mut client = bench.executor().await;
        client.greet(hello).await;
        assert!(bench.decide(known).await.is_err());
        let refused = GatewayMessage::Refused {
            reason,
            message: words.into(),
        };
        assert_eq!(client.hear().await, Some(refused));
        assert_eq!(client.hear().await, None);
    }
}

#[tokio::test]
async fn a_foreign_certificate_gets_nowhere() {
    let mut bench = Bench::new(Limits::default()).await;
    let foreign = ApplicationKeys::issue().unwrap();
    assert!(
        bench.dial(&foreign.executor).await.is_err(),
        "it does not trust our certificate"
    );
    let liar = Identity {
        authority: bench.keys.executor.authority.clone(),
        ..foreign.executor
    };
    if let Ok(mut client) = bench.dial(&liar).await {
        // In TLS 1.3 the client learns of the refusal when it reads.
        assert_eq!(client.hear().await, None);
    }
    assert!(bench.events.try_recv().is_err(), "nothing of it was heard");
}

#[tokio::test]
async fn frames_of_another_life_end_the_connection_and_a_higher_epoch_is_told() {
    let mut bench = Bench::new(Limits::default()).await;
    let beat = || ExecutorMessage::Heartbeat(Heartbeat::default());
    let mut client = bench.executor().await;
    client.greet(hello()).await;
    bench.decide(Known::Live(None)).await.unwrap();
    client.say(beat(), BOOT, Epoch(3)).await;
    assert!(matches!(bench.event().await, GatewayEvent::HigherEpoch(Epoch(3))));
    client.say(beat(), BootNonce(1), EPOCH).await;
    let GatewayEvent::Closed { reason, .. } = bench.event().await else {
        panic!("the end of the connection was expected");
    };
    assert_eq!(reason, "a frame of another life");
}

#[tokio::test]
async fn silence_and_a_missing_hello_end_a_connection() {
    let short = Duration::from_millis(50);
    let mut bench = Bench::new(Limits {
        driver_silence: LONG,
        handshake: LONG,
        silence: short,
        ..Limits::default()
    })
    .await;
    let mut client = bench.executor().await;
    client.greet(hello()).await;
    bench.decide(Known::Live(None)).await.unwrap();
    assert!(matches!(bench.event().await, GatewayEvent::Closed { .. }));
    let bench = Bench::new(Limits {
        handshake: short,
        ..Limits::default()
    })
    .await;
    let mut mute = bench.executor().await;
    assert_eq!(mute.hear().await, None);
}

#[tokio::test]
async fn a_link_that_is_dropped_closes_after_its_last_message() {
    let mut bench = Bench::new(Limits::default()).await;
    let mut client = bench.executor().await;
    client.greet(hello()).await;
    bench.decide(Known::Live(None)).await.unwrap();
    let shutdown = GatewayMessage::Shutdown {
        reason: "done".into(),
        grace: Duration::ZERO,
    };
    bench.links.send(&id(), shutdown.clone());
    bench.links.forget(&id());
    assert_eq!(client.hear().await, Some(shutdown));
    assert_eq!(client.hear().await, None);
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away_and_counted() {
    let mut bench = Bench::new(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let mut client = bench.executor().await;
    client.greet(hello()).await;
    bench.decide(Known::Live(None)).await.unwrap();
    assert_eq!(bench.turned_away.get(), 0);
    assert!(bench.dial(&bench.keys.executor).await.is_err());
    assert_eq!(bench.turned_away.get(), 1);
}
