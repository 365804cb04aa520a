//! Shows a cluster and its applications: `cargo run -p yarn-rest --example report -- RM_ADDRESS…`

use yarn_rest::request::AppFilter;
use yarn_rest::{Auth, Client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let user = std::env::var("USER").unwrap_or_else(|_| "nobody".to_owned());
    let mut builder = Client::builder(Auth::simple(user));
    for address in std::env::args().skip(1) {
        builder = builder.resource_manager(address);
    }
    let client = builder.build()?;

    let info = client.cluster_info().await?;
    let metrics = client.cluster_metrics().await?;
    println!("YARN {} at {}", info.resource_manager_version, client.active());
    println!(
        "{} nodes, {} of {} MiB free",
        metrics.active_nodes, metrics.available_mb, metrics.total_mb
    );
    for app in client.applications(&AppFilter::default()).await? {
        println!(
            "{}  {:<10} {:>5.1}%  {}  {}",
            app.id, app.state, app.progress, app.user, app.name
        );
    }
    Ok(())
}
