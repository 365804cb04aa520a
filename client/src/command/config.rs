//! `drawloom config`: every setting with its value and origin; with `--hadoop` the cluster's configuration too.

use std::path::Path;

use hadoop::conf::{Location, is_sensitive};

use super::print;
use crate::cli::Config;
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::{Layer, Resolved};
use crate::submit::prepare;

/// Prints the settings.
///
/// # Errors
/// A file cannot be read or a setting is invalid.
pub(crate) fn run(conf_dir: Option<&Path>, command: &Config) -> Result<(), CommandError> {
    let flags = || Layer::flags(command.conf.iter().cloned());
    let properties = command.properties_file.as_deref();
    let read = |path: &Path| prepare::read_job(path, flags(), properties);
    let job = command.job.as_deref().map(read).transpose()?;
    let settings = prepare::settings(flags(), job.as_ref(), properties)?;
    print(&text(&settings))?;
    if command.hadoop {
        print(&hadoop_text(&Cluster::find(conf_dir)?))?;
    }
    Ok(())
}

fn hadoop_text(cluster: &Cluster) -> String {
    let Location { dir, found_by } = &cluster.location;
    let mut text = format!("\n# Hadoop, from {} ({found_by})\n", dir.display());
    for (key, entry) in cluster.conf.entries() {
        let value = if is_sensitive(key) {
            "<hidden>"
        } else {
            entry.value.as_str()
        };
        text.push_str(&format!("{key} = {value}  # {}\n", entry.origin));
    }
    text
}

fn text(settings: &Resolved) -> String {
    let mut text = String::new();
    for (key, setting) in settings.iter() {
        text.push_str(&format!("# {} ({})\n", key.doc, key.kind.expected()));
        text.push_str(&format!(
            "{} = {}  # {}\n",
            key.name, setting.text, setting.origin
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Layers;

    #[test]
    fn every_setting_is_printed_with_its_meaning_and_origin() {
        insta::assert_snapshot!(text(&Resolved::of(&Layers::default()).unwrap()));
    }
}
