//! How long it takes from nothing to a running ApplicationMaster's process:
//! `cargo run --release -p drawloom-mini --example start`.

use std::time::{Duration, Instant};

use mini::node_manager::Stage;
use mini::{Cluster, Options};
use yarn_rest::{Auth, Client, SubmissionContext};

/// Clusters that are started, one after the other.
const RUNS: usize = 11;

async fn once() -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let cluster = Cluster::start(Options::default()).await?;
    let up = begun.elapsed();
    let address = format!("http://{}", cluster.web_address());
    let client = Client::builder(Auth::simple("ada"))
        .resource_manager(address)
        .build()?;
    let mut context = SubmissionContext::new(client.new_application().await?.application_id);
    context.resource = yarn_rest::Resource::new(64, 1);
    context.container.commands = vec!["exec sleep 60".into()];
    client.submit(&context).await?;
    let runs = || {
        let mut views = cluster.nodes().iter().flat_map(|node| node.containers());
        views.any(|view| view.stage == Stage::Running)
    };
    while !runs() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let first = begun.elapsed();
    cluster.shutdown().await;
    Ok((up, first))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Another provider than the default one is not there.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(runtime.block_on(once())?);
    }
    let median = |mut all: Vec<Duration>| {
        all.sort();
        all[all.len() / 2]
    };
    let (up, first): (Vec<_>, Vec<_>) = times.into_iter().unzip();
    println!(
        "cluster up {:?}, first container running {:?} (medians of {RUNS})",
        median(up),
        median(first)
    );
    Ok(())
}
