//! Settings: every key that can be set, the layers it can be set in, and where a value came from.
//!
//! Order of precedence: command-line flag, job file, `DRAWLOOM_*` environment, properties file, user and system
//! configuration, default. A layer is text by key; [`Resolved`] parses the winner of each key and reports all bad
//! values at once, each with its origin.

pub(crate) mod catalogue;
pub(crate) mod layers;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::job::problem::nearest;
use catalogue::{KEYS, Key};
pub use layers::{Layer, Layers, Origin};

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As written.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

/// Settings that cannot be used; each line names its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(pub Vec<String>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for InvalidSettings {}

/// Every key with the value that won.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    values: BTreeMap<&'static str, Setting>,
}

impl Resolved {
    /// Resolves the layers.
    ///
    /// # Errors
    /// Unknown keys and values of the wrong kind, all of them.
    pub fn of(layers: &Layers) -> Result<Self, InvalidSettings> {
        let (resolved, problems) = Self::as_far_as_valid(layers);
        if problems.is_empty() {
            Ok(resolved)
        } else {
            Err(InvalidSettings(problems))
        }
    }

    /// Resolves the layers, with the default in place of each value that is not valid, and says what is wrong.
    pub(crate) fn as_far_as_valid(layers: &Layers) -> (Self, Vec<String>) {
        let mut problems = unknown_keys(layers);
        let mut values = BTreeMap::new();
        for key in KEYS {
            let default = || Setting {
                text: key.default.to_owned(),
                origin: Origin::Default,
            };
            let mut setting = layers.winner(key.name).unwrap_or_else(default);
            if let Err(why) = key.check(&setting.text) {
                problems.push(format!("{}: {}: {why}", setting.origin, key.name));
                setting = default();
            }
            values.insert(key.name, setting);
        }
        (Self { values }, problems)
    }

    /// Every key in the order of the catalogue, with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, &Setting)> {
        KEYS.iter()
            .filter_map(|key| Some((key, self.values.get(key.name)?)))
    }

    /// The text of a key; empty for one that is not set.
    pub fn text(&self, key: &'static str) -> &str {
        self.values.get(key).map_or("", |setting| setting.text.as_str())
    }

    /// The text of a key unless it is empty.
    pub fn optional(&self, key: &'static str) -> Option<&str> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    /// The comma-separated words of a key.
    pub fn words(&self, key: &'static str) -> Vec<String> {
        self.text(key)
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Amounts by name.
    pub fn amounts(&self, key: &'static str) -> BTreeMap<String, u64> {
        value::amounts(self.text(key)).unwrap_or_default()
    }

    /// A whole number.
    pub fn count(&self, key: &'static str) -> u32 {
        value::number(self.text(key)).unwrap_or_default()
    }

    /// Memory in MiB.
    pub fn mebibytes(&self, key: &'static str) -> u64 {
        value::mebibytes(self.text(key)).unwrap_or_default()
    }

    /// A duration.
    pub fn duration(&self, key: &'static str) -> Duration {
        value::duration(self.text(key)).unwrap_or_default()
    }

    /// A yes or no.
    pub fn flag(&self, key: &'static str) -> bool {
        value::boolean(self.text(key)).unwrap_or_default()
    }

    /// A number of at least 1.
    pub fn factor(&self, key: &'static str) -> f64 {
        value::factor(self.text(key)).unwrap_or(1.0)
    }

    /// A number between 0 and 1.
    pub fn ratio(&self, key: &'static str) -> f64 {
        value::ratio(self.text(key)).unwrap_or_default()
    }
}

fn unknown_keys(layers: &Layers) -> Vec<String> {
    let known = || KEYS.iter().map(|key| key.name);
    let unknown = layers.all().filter(|(name, _)| known().all(|key| key != *name));
    unknown
        .map(|(name, setting)| format!("{}: {}", setting.origin, unknown_key(name)))
        .collect()
}

/// What is said of a name that no key has.
pub(crate) fn unknown_key(name: &str) -> String {
    let hint = nearest(name, KEYS.iter().map(|key| key.name)).map_or_else(
        || "`drawloom config` lists all keys".to_owned(),
        |key| format!("did you mean {key}?"),
    );
    format!("unknown key {name:?}: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(name: &str, text: &str) -> Layer {
        Layer::flags([(name.to_owned(), text.to_owned())])
    }

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        let resolved = Resolved::of(&Layers::default()).unwrap();
        assert_eq!(resolved.mebibytes("executors.memory"), 1024);
        assert_eq!(
            resolved.duration("executor.heartbeat.dead"),
            Duration::from_secs(60)
        );
        assert!(
            resolved
                .iter()
                .all(|(_, setting)| setting.origin == Origin::Default)
        );
    }

    #[test]
    fn the_first_layer_that_has_a_key_wins() {
        let layers = Layers(vec![flag("queue", "a"), flag("queue", "b")]);
        assert_eq!(Resolved::of(&layers).unwrap().text("queue"), "a");
    }

    #[test]
    fn all_bad_settings_are_reported_with_their_origin() {
        let layers = Layers(vec![
            flag("executors.memory", "lots"),
            flag("task.max-failurs", "3"),
        ]);
        let error = Resolved::of(&layers).unwrap_err().to_string();
        insta::assert_snapshot!(error);
    }
}
