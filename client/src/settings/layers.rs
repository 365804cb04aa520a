//! The layers that settings come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Setting;
use super::catalogue::KEYS;
use crate::job::JobFile;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag(String),
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In the environment.
    Environment(String),
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Values of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer(BTreeMap<String, Setting>);

/// Layers, the strongest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layers(pub Vec<Layer>);

impl Layers {
    /// The value of the strongest layer that has the key.
    pub(super) fn winner(&self, key: &str) -> Option<Setting> {
        self.0.iter().find_map(|layer| layer.0.get(key)).cloned()
    }

    /// Every value of every layer.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0
            .iter()
            .flat_map(|layer| &layer.0)
            .map(|(name, setting)| (name.as_str(), setting))
    }
}

impl Layer {
    /// Values of `--conf KEY=VALUE`.
    pub fn flags(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let named = |(name, text): (String, String)| {
            let origin = Origin::Flag(format!("--conf {name}"));
            (name, Setting { text, origin })
        };
        Self(values.into_iter().map(named).collect())
    }

    /// Adds the value of a flag of its own, which is stronger than `--conf`.
    pub fn set_flag(&mut self, flag: &str, key: &'static str, value: Option<String>) {
        if let Some(text) = value {
            let origin = Origin::Flag(flag.to_owned());
            self.0.insert(key.to_owned(), Setting { text, origin });
        }
    }

    /// What a job file says.
    pub fn job(job: &JobFile) -> Self {
        let settings = job
            .settings
            .iter()
            .map(|(name, placed)| ((*name).to_owned(), placed));
        let conf = job.conf.iter().map(|(name, placed)| (name.clone(), placed));
        let of = |(name, placed): (String, &crate::job::fields::Placed<String>)| {
            let origin = Origin::File {
                path: job.path.clone(),
                line: placed.place.line,
            };
            let text = placed.value.clone();
            (name, Setting { text, origin })
        };
        Self(conf.chain(settings).map(of).collect())
    }

    /// What the environment says, by each key's own variable.
    pub fn environment(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let of = |key: &super::Key| {
            let variable = key.variable();
            let text = lookup(&variable)?;
            let origin = Origin::Environment(variable);
            Some((key.name.to_owned(), Setting { text, origin }))
        };
        Self(KEYS.iter().filter_map(of).collect())
    }

    /// What a properties file says: a key, `=`, `:` or blanks, a value; `#` and `!` begin comments.
    /// A leading `drawloom.` is dropped.
    pub fn properties(path: &Path, text: &str) -> Self {
        let lines = text.lines().enumerate();
        let of = |(index, line): (usize, &str)| {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '!']) {
                return None;
            }
            let end = line
                .find(|c: char| c == '=' || c == ':' || c.is_whitespace())
                .unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let value = rest.trim_start().trim_start_matches(['=', ':']).trim();
            let origin = Origin::File {
                path: path.to_owned(),
                line: index + 1,
            };
            let text = value.to_owned();
            Some((
                key.strip_prefix("drawloom.").unwrap_or(key).to_owned(),
                Setting { text, origin },
            ))
        };
        Self(lines.filter_map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_in_the_usual_forms() {
        let text = "# comment\nqueue=prod\n am.memory : 1g\ndrawloom.tags  a,b\n\nlifetime\n";
        let layer = Layer::properties(Path::new("p"), text);
        let shown: Vec<_> = layer
            .0
            .iter()
            .map(|(key, s)| format!("{key}={} ({})", s.text, s.origin))
            .collect();
        assert_eq!(
            shown,
            [
                "am.memory=1g (p:3)",
                "lifetime= (p:6)",
                "queue=prod (p:2)",
                "tags=a,b (p:4)"
            ]
        );
    }

    #[test]
    fn the_environment_names_keys_in_capitals() {
        let lookup = |name: &str| (name == "DRAWLOOM_EXECUTORS_MEMORY").then(|| "2g".to_owned());
        let layers = Layers(vec![Layer::environment(lookup)]);
        let won = layers.winner("executors.memory").unwrap();
        assert_eq!(
            (won.text.as_str(), won.origin.to_string().as_str()),
            ("2g", "environment DRAWLOOM_EXECUTORS_MEMORY")
        );
    }
}
