//! A whole application in one process: submits an unmanaged application, becomes its ApplicationMaster, runs a
//! command in containers, and ends.
//!
//! ```text
//! HADOOP_CONF_DIR=/etc/hadoop/conf cargo run -p yarn-rpc --example unmanaged_am -- 3 'echo hello; sleep 1'
//! ```
//!
//! A third argument is the number of containers that are asked for later, each when another has ended.

use hadoop::conf::{Configuration, HostPort, Location};
use hadoop::sasl::Qop;
use std::collections::BTreeSet;
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use yarn_rpc::am_nm::{NmConfig, NmTokenStore, NodeManagers};
use yarn_rpc::client::{ClientIdentity, RpcConfig};
use yarn_rpc::client_rm::{ApplicationClient, Submission};
use yarn_rpc::records::{AllocationRequestId, Container, ContainerLaunchContext, Priority, Resource};
use yarn_rpc::session::{
    AmSession, Ask, AskKey, FinalStatus, GrantSeq, Pacing, SessionCommand, SessionConfig, SessionEvent,
    SessionHandle,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long the ResourceManager may take to launch the attempt, that is, to hand out its token.
const LAUNCH: Duration = Duration::from_secs(60);

struct Cluster {
    scheduler: Vec<String>,
    client: Vec<String>,
    rpc: RpcConfig,
    protection: Vec<Qop>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: u32 = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let command = arguments.next().unwrap_or_else(|| "sleep 1".to_owned());
    let later: u32 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let cluster = cluster()?;

    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let rm = ApplicationClient::new(
        cluster.client.clone(),
        ClientIdentity::User(user),
        cluster.rpc.clone(),
    );
    let (id, token) = submit(&rm).await?;
    println!("{id} launched");

    let tokens = NmTokenStore::new();
    let config = NmConfig {
        protection: cluster.protection.clone(),
        ..NmConfig::default()
    };
    let nodes = NodeManagers::new(tokens.clone(), config);
    let (session, events) = AmSession::start(SessionConfig {
        resource_managers: cluster.scheduler,
        token,
        host: "localhost".to_owned(),
        rpc_port: None,
        tracking_url: None,
        // It has nothing else to do, so it hears of every end and every grant at once.
        pacing: Pacing {
            pending: Duration::from_millis(20),
            idle: Duration::from_millis(20),
            ..Pacing::default()
        },
        rpc: cluster.rpc,
        nm_tokens: tokens,
    });
    let context = ContainerLaunchContext {
        commands: vec![format!("{command} 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr")],
        ..Default::default()
    };
    run(&session, events, &nodes, &context, (count, later)).await?;

    let report = rm.report(id).await?;
    println!(
        "{id} is {:?}, {:?}: {}",
        report.state, report.final_status, report.diagnostics
    );
    Ok(())
}

/// Addresses and protection from the usual configuration directory.
fn cluster() -> Result<Cluster> {
    let env = |name: &str| std::env::var(name).ok();
    let location = Location::find(None, &env)?.ok_or("set HADOOP_CONF_DIR")?;
    let conf = Configuration::load(&location.dir, &env)?;
    let texts = |list: Vec<HostPort>| list.iter().map(HostPort::to_string).collect();
    let managers = conf.resource_managers()?;
    let protection = Qop::parse_protections(conf.get("hadoop.rpc.protection").unwrap_or_default())?;
    Ok(Cluster {
        scheduler: texts(managers.scheduler),
        client: texts(managers.client),
        rpc: RpcConfig {
            protection: protection.clone(),
            ..RpcConfig::default()
        },
        protection,
    })
}

/// Submits and waits for the token to register with.
async fn submit(rm: &ApplicationClient) -> Result<(hadoop::ids::ApplicationId, hadoop::credentials::Token)> {
    let id = rm.new_application().await?.id;
    let context = ContainerLaunchContext::default();
    let mut submission = Submission::new(id, "unmanaged example", context, Resource::new(128, 1));
    submission.unmanaged = true;
    rm.submit(&submission).await?;
    let patience = Instant::now() + LAUNCH;
    while Instant::now() < patience {
        let report = rm.report(id).await?;
        if let Some(token) = report.am_rm_token {
            return Ok((id, token));
        }
        if report.state.is_over() {
            return Err(format!("{id} ended: {}", report.diagnostics).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{id} was not launched within {LAUNCH:?}").into())
}

/// Asks for containers, starts each when it comes, asks for `later` ones as they end, and ends when all have ended.
async fn run(
    session: &SessionHandle,
    mut events: Receiver<SessionEvent>,
    nodes: &NodeManagers,
    context: &ContainerLaunchContext,
    (count, mut later): (u32, u32),
) -> Result<()> {
    let begin = Instant::now();
    session.send(ask(count, GrantSeq::default())).await?;
    let mut open: BTreeSet<_> = BTreeSet::new();
    let all = count + later;
    let (mut ended, mut outstanding, mut as_of) = (0, count, GrantSeq::default());
    while let Some(event) = events.recv().await {
        let at = begin.elapsed().as_millis();
        match event {
            SessionEvent::RmContact { .. } => {}
            SessionEvent::Allocated { containers, seq } => {
                as_of = seq;
                for container in containers {
                    outstanding = outstanding.saturating_sub(1);
                    start(session, nodes, context, &container).await?;
                    println!("{at:>6} ms  {} started on {}", container.id, container.node);
                    open.insert(container.id);
                }
            }
            SessionEvent::Completed(statuses) => {
                for status in statuses.iter().filter(|status| open.remove(&status.id)) {
                    println!(
                        "{at:>6} ms  {} exit {} {}",
                        status.id,
                        status.exit_status,
                        status.diagnostics.trim()
                    );
                    ended += 1;
                    if later > 0 {
                        (later, outstanding) = (later - 1, outstanding + 1);
                        session.send(ask(outstanding, as_of)).await?;
                        session.send(SessionCommand::Nudge).await?;
                    }
                }
                if ended == all {
                    let diagnostics = format!("{all} containers ended");
                    let status = FinalStatus::Succeeded;
                    let end = SessionCommand::Unregister {
                        status,
                        diagnostics,
                        tracking_url: None,
                    };
                    session.send(end).await?;
                }
            }
            SessionEvent::Superseded { reason } => return Err(reason.into()),
            other => println!("{at:>6} ms  {other:?}"),
        }
    }
    Ok(())
}

/// So many containers anywhere, as of what was heard until then.
fn ask(count: u32, as_of: GrantSeq) -> SessionCommand {
    let ask = Ask {
        key: AskKey::any(Priority(1), AllocationRequestId(1)),
        capability: Resource::new(128, 1),
        count,
        relax_locality: true,
        node_label: None,
    };
    SessionCommand::SetAsk { ask, as_of }
}

async fn start(
    session: &SessionHandle,
    nodes: &NodeManagers,
    context: &ContainerLaunchContext,
    container: &Container,
) -> Result<()> {
    if let Err(error) = nodes.start_container(container, context).await {
        session.send(SessionCommand::Release(container.id)).await?;
        return Err(error.into());
    }
    Ok(session.send(SessionCommand::Started(container.id)).await?)
}
