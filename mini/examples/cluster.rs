//! A cluster in the foreground: `cargo run -p drawloom-mini --example cluster`, then export what it prints.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(mini::run_foreground(
        mini::Options::default(),
        mini::Plan::default(),
    ))?;
    Ok(())
}
