//! `drawloom attach`: following an application that somebody else submitted, or that this person has left.

use std::path::Path;
use std::time::{Duration, Instant};

use super::application_id;
use crate::cli::Attach;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::Layer;
use crate::submit::prepare;
use crate::submit::watch::{self, Interrupts, OnInterrupt, Watch};
use crate::terminal::{Screen, Terminal};

/// Follows the application to its end; the exit code is the one that its submission would have had.
///
/// # Errors
/// It did not succeed, Ctrl-C, or YARN cannot be asked.
pub(crate) async fn run(
    conf_dir: Option<&Path>,
    terminal: Terminal,
    command: &Attach,
) -> Result<(), CommandError> {
    let id = application_id(&command.app)?;
    let settings = prepare::settings(Layer::flags([]), None, None)?;
    let cluster = Cluster::find(conf_dir)?;
    let client = cluster.rest()?;
    let mut interrupts = Interrupts::listen()?;
    let since = Instant::now();
    let screen = Screen::new(terminal);
    let watch = Watch {
        client: &client,
        user: &cluster.user,
        id,
        since,
        screen: &screen,
        poll: settings
            .duration("client.poll-interval")
            .max(Duration::from_millis(10)),
        timeout: None,
        on_interrupt: OnInterrupt::Detaches,
        driver: None,
    };
    let ended = Box::pin(watch.run(&mut interrupts)).await?;
    screen.clear_bar();
    watch::conclude(&screen, since, &ended)
}
