//! `drawloom exporter`: the metrics of all applications of a cluster, for Prometheus.

use std::path::Path;
use std::time::Duration;

use am::web::server::WebServer;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Exporter as Options;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::exporter::targets::{self, Addresses};
use crate::exporter::{self, Exporter};
use crate::terminal::tell;

/// More often is no use to anybody and a load to the ResourceManager.
const SHORTEST: Duration = Duration::from_secs(1);

/// Serves until SIGINT or SIGTERM, or writes one list of targets.
///
/// # Errors
/// Options that make no sense, an address that cannot be bound, a file that cannot be written.
pub(crate) async fn run(conf_dir: Option<&Path>, command: &Options) -> Result<(), CommandError> {
    if *command.interval < SHORTEST {
        return Err(CommandError::usage("--interval is too short").help("take a second or more, like 15s"));
    }
    let cluster = Cluster::find(conf_dir)?;
    if let Some(file) = command.file_sd.as_deref().filter(|_| command.once) {
        let advertised = command.listen.to_string();
        let exporter = Exporter::new(cluster.rest()?, options(command, cluster.user, advertised));
        return once(exporter, file).await;
    }
    let server = WebServer::bind_to(command.listen).await.map_err(|error| {
        CommandError::refused(format!("{} cannot be listened on", command.listen))
            .caused_by(error)
            .help("name another address with --listen HOST:PORT; port 0 takes a free one")
    })?;
    let address = server.address().map_err(|error| {
        CommandError::refused("the address of the exporter cannot be had").caused_by(error)
    })?;
    tell(format_args!(
        "serving http://{address}/sd and http://{address}/metrics; Ctrl-C ends it"
    ));
    let exporter = Exporter::new(
        cluster.rest()?,
        options(command, cluster.user, address.to_string()),
    );
    exporter.serve(server, stopped()?).await;
    Ok(())
}

fn options(command: &Options, user: String, bound: String) -> exporter::Options {
    exporter::Options {
        interval: *command.interval,
        keep: *command.keep,
        file_sd: command.file_sd.clone(),
        addresses: Addresses {
            via: command.via,
            exporter: command.advertise.clone().unwrap_or(bound),
            cluster: command.cluster.clone(),
        },
        user,
    }
}

/// Writes one list of targets.
async fn once(mut exporter: Exporter, file: &Path) -> Result<(), CommandError> {
    exporter.look().await;
    let targets = exporter.targets().ok_or_else(|| {
        CommandError::refused("the ResourceManager does not answer")
            .because("the list of targets was left as it is")
            .help("see why with: drawloom list")
    })?;
    targets::write(file, &targets).map_err(|error| {
        CommandError::refused(format!("{} cannot be written", file.display()))
            .caused_by(error)
            .help("name a file in a directory that exists and is yours with --file-sd FILE")
    })
}

fn stopped() -> Result<impl Future<Output = ()>, CommandError> {
    let listen = |kind| {
        signal(kind).map_err(|error| CommandError::refused("signals cannot be caught").caused_by(error))
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
