//! Puts layers on each other and resolves the result.

use std::collections::BTreeMap;
use std::path::Path;

use super::expand::{environment, expand, system_property};
use super::xml::{self, Property};
use super::{ConfError, Configuration, Entry, Env, Note, Origin, Unexpanded, defaults};

/// The most text all expanded values together may have, in bytes.
const MAX_TOTAL: usize = 64 << 20;

/// Collects the layers of a [`Configuration`], lowest first.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    values: BTreeMap<String, (String, Origin)>,
    finals: BTreeMap<String, Origin>,
    overrides: BTreeMap<String, (String, Origin)>,
    notes: Vec<Note>,
}

impl Builder {
    /// Adds every built-in default: the values of Hadoop's own `*-default.xml` that drawloom reads.
    pub fn defaults(self) -> Self {
        defaults::FILES
            .iter()
            .fold(self, |builder, file| builder.defaults_of(file))
    }

    /// Adds defaults and site files of a configuration directory in Hadoop's order: `core`, `hdfs`, `yarn`, of each
    /// the defaults first. A site file that does not exist is passed over.
    ///
    /// # Errors
    /// A site file, or one it includes, that cannot be read, is not XML, not a configuration, or includes itself.
    pub fn dir(self, dir: &Path) -> Result<Self, ConfError> {
        defaults::FILES.iter().try_fold(self, |builder, file| {
            let builder = builder.defaults_of(file);
            let path = dir.join(file.site);
            match std::fs::metadata(&path) {
                Ok(_) => builder.file(&path),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(builder),
                Err(source) => Err(ConfError::Read { path, source }),
            }
        })
    }

    /// Adds one configuration file.
    ///
    /// # Errors
    /// As [`Self::dir`]; also if the file does not exist.
    pub fn file(self, path: &Path) -> Result<Self, ConfError> {
        Ok(self.layer(xml::read_file(path)?))
    }

    /// Adds a configuration file given as text. `path` names it in origins; includes are relative to it.
    ///
    /// # Errors
    /// As [`Self::dir`].
    pub fn xml(self, path: &Path, text: &str) -> Result<Self, ConfError> {
        Ok(self.layer(xml::read_text(path, text)?))
    }

    /// Sets a value above all files, final or not. `by` says in origins who asked for it (`--hadoop-conf`).
    pub fn set(mut self, key: &str, value: &str, by: &str) -> Self {
        let origin = Origin::Override { by: by.to_owned() };
        let key = self.current_name(key, &origin);
        self.overrides.insert(key, (value.to_owned(), origin));
        self
    }

    /// Expands all variables and finishes. `env` is asked for `${env.…}` and the user's name and home; never fails:
    /// what cannot be expanded stays as written, with a [`Note`].
    pub fn build(mut self, env: &Env<'_>) -> Configuration {
        self.values.append(&mut self.overrides);
        let entries = Resolver {
            values: &self.values,
            finals: &self.finals,
            env,
        }
        .resolve(&mut self.notes);
        Configuration {
            entries,
            notes: self.notes,
        }
    }

    fn defaults_of(mut self, file: &defaults::DefaultFile) -> Self {
        for (key, value) in file.values {
            self.put(Property {
                name: (*key).to_owned(),
                value: Some((*value).to_owned()),
                is_final: false,
                origin: Origin::Default,
            });
        }
        self
    }

    fn layer(mut self, properties: Vec<Property>) -> Self {
        for property in properties {
            self.put(property);
        }
        self
    }

    fn put(&mut self, property: Property) {
        let Property {
            name,
            value,
            is_final,
            origin,
        } = property;
        let key = self.current_name(&name, &origin);
        if let Some(value) = value {
            self.put_value(&key, value, origin.clone());
        }
        if is_final {
            self.finals.entry(key).or_insert(origin);
        }
    }

    fn put_value(&mut self, key: &str, value: String, origin: Origin) {
        let before = self.values.get(key);
        let changes = before.is_some_and(|(before, _)| *before != value);
        if let Some(kept) = self.finals.get(key) {
            if changes && origin != Origin::Default {
                let (key, kept) = (key.to_owned(), kept.clone());
                self.notes.push(Note::FinalKept {
                    key,
                    kept,
                    ignored: origin,
                });
            }
            return;
        }
        if let Some((_, ignored @ Origin::File { .. })) =
            before.filter(|_| changes && origin == Origin::Default)
        {
            self.notes.push(Note::ReplacedByDefault {
                key: key.to_owned(),
                ignored: ignored.clone(),
            });
        }
        self.values.insert(key.to_owned(), (value, origin));
    }

    fn current_name(&mut self, name: &str, origin: &Origin) -> String {
        let name = name.trim();
        let new = defaults::current_name(name);
        if let Some(new) = defaults::renamed(name) {
            self.notes.push(Note::OldName {
                old: name.to_owned(),
                new,
                origin: origin.clone(),
            });
        }
        new.to_owned()
    }
}

/// All layers together, and what variables may refer to.
struct Resolver<'a> {
    values: &'a BTreeMap<String, (String, Origin)>,
    finals: &'a BTreeMap<String, Origin>,
    env: &'a Env<'a>,
}

impl Resolver<'_> {
    fn resolve(&self, notes: &mut Vec<Note>) -> BTreeMap<String, Entry> {
        let mut left = MAX_TOTAL;
        let mut entries = BTreeMap::new();
        for (key, (raw, origin)) in self.values {
            let (value, why) = self.expand(raw, &mut left);
            if let (Some(why), true) = (why, *origin != Origin::Default) {
                notes.push(Note::NotExpanded {
                    key: key.clone(),
                    origin: origin.clone(),
                    why,
                });
            }
            let is_final = self.finals.contains_key(key);
            let value = value.trim().to_owned();
            entries.insert(
                key.clone(),
                Entry {
                    value,
                    raw: raw.clone(),
                    origin: origin.clone(),
                    is_final,
                },
            );
        }
        entries
    }

    /// Expands a value as long as the text of all values together stays within bounds.
    fn expand(&self, raw: &str, left: &mut usize) -> (String, Option<Unexpanded>) {
        let (value, why) = expand(raw, &|variable| self.variable(variable));
        match left.checked_sub(value.len()) {
            Some(rest) => *left = rest,
            None => return (raw.to_owned(), Some(Unexpanded::TooMuch)),
        }
        (value, why)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let outside = match name.strip_prefix("env.") {
            Some(variable) if !variable.is_empty() => environment(variable, self.env),
            _ => system_property(name, self.env),
        };
        let key = defaults::current_name(name);
        outside.or_else(|| self.values.get(key).map(|(raw, _)| raw.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(properties: &[(&str, &str)]) -> String {
        let property =
            |(name, value): &(&str, &str)| format!("<property><name>{name}</name>{value}</property>\n");
        format!(
            "<configuration>\n{}</configuration>",
            properties.iter().map(property).collect::<String>()
        )
    }

    fn two_files(first: &[(&str, &str)], second: &[(&str, &str)]) -> Builder {
        Configuration::builder()
            .xml(Path::new("first.xml"), &site(first))
            .unwrap()
            .xml(Path::new("second.xml"), &site(second))
            .unwrap()
    }

    fn origin(conf: &Configuration, key: &str) -> String {
        conf.entry(key).unwrap().origin.to_string()
    }

    #[test]
    fn a_later_file_wins() {
        let conf = two_files(&[("k", "<value>1</value>")], &[("k", "<value>2</value>")]).build(&|_| None);
        assert_eq!(conf.get("k"), Some("2"));
        assert_eq!(origin(&conf, "k"), "second.xml:2");
    }

    #[test]
    fn a_final_value_is_kept_and_the_attempt_noted() {
        let first = [("k", "<value>1</value><final>true</final>")];
        let conf = two_files(&first, &[("k", "<value>2</value>")]).build(&|_| None);
        assert_eq!(conf.get("k"), Some("1"));
        assert!(conf.entry("k").unwrap().is_final);
        assert_eq!(
            conf.notes()[0].to_string(),
            "k at second.xml:2 is ignored: declared final at first.xml:2"
        );
    }

    #[test]
    fn an_override_wins_over_a_final_value() {
        let first = [("k", "<value>1</value><final>true</final>")];
        let conf = two_files(&first, &[])
            .set("k", "3", "--hadoop-conf")
            .build(&|_| None);
        assert_eq!(conf.get("k"), Some("3"));
        assert_eq!(origin(&conf, "k"), "--hadoop-conf");
    }

    #[test]
    fn an_empty_value_leaves_the_lower_layer() {
        let conf = two_files(&[("k", "<value>1</value>")], &[("k", "<value></value>")]).build(&|_| None);
        assert_eq!(conf.get("k"), Some("1"));
    }

    #[test]
    fn a_final_default_of_one_file_holds_against_the_defaults_of_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let locked = [(
            "yarn.resourcemanager.hostname",
            "<value>rm9</value><final>true</final>",
        )];
        std::fs::write(dir.path().join("core-site.xml"), site(&locked)).unwrap();
        let conf = Configuration::load(dir.path(), &|_| None).unwrap();
        assert_eq!(conf.get("yarn.resourcemanager.hostname"), Some("rm9"));
        assert!(conf.notes().is_empty());
    }

    #[test]
    fn a_yarn_key_in_core_site_loses_as_in_hadoop_and_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let misplaced = [("yarn.resourcemanager.hostname", "<value>rm9</value>")];
        std::fs::write(dir.path().join("core-site.xml"), site(&misplaced)).unwrap();
        let conf = Configuration::load(dir.path(), &|_| None).unwrap();
        assert_eq!(conf.get("yarn.resourcemanager.hostname"), Some("0.0.0.0"));
        assert!(
            matches!(&conf.notes()[0], Note::ReplacedByDefault { key, .. } if key == "yarn.resourcemanager.hostname")
        );
    }

    #[test]
    fn values_are_expanded_over_all_layers_and_the_environment() {
        let env = |name: &str| (name == "HOST" || name == "USER").then(|| "h1".to_owned());
        let first = [
            ("a", "<value>${b}:${env.PORT:-80}</value>"),
            ("t", "<value>/tmp/${user.name}</value>"),
        ];
        let conf = two_files(&first, &[("b", "<value> ${env.HOST}</value>")]).build(&env);
        assert_eq!(conf.get("a"), Some("h1:80"));
        assert_eq!(conf.get("t"), Some("/tmp/h1"));
        assert_eq!(conf.entry("b").unwrap().raw, " ${env.HOST}");
    }

    #[test]
    fn what_cannot_be_expanded_is_noted_with_its_place() {
        let conf = two_files(&[("a", "<value>x${no.such.key}</value>")], &[]).build(&|_| None);
        assert_eq!(conf.get("a"), Some("x${no.such.key}"));
        assert_eq!(
            conf.notes()[0].to_string(),
            "a at first.xml:2 is left as written: ${no.such.key} is not defined"
        );
    }

    #[test]
    fn old_names_count_as_new_ones() {
        let conf = two_files(&[("fs.default.name", "<value>hdfs://nn1</value>")], &[]).build(&|_| None);
        assert_eq!(conf.get("fs.defaultFS"), Some("hdfs://nn1"));
        assert_eq!(conf.get("fs.default.name"), Some("hdfs://nn1"));
        assert!(matches!(
            conf.notes()[0],
            Note::OldName {
                new: "fs.defaultFS",
                ..
            }
        ));
    }

    #[test]
    fn values_that_multiply_are_cut_off() {
        let big = format!("<value>{}</value>", "x".repeat(1 << 19));
        let many: Vec<_> = (0..200).map(|n| format!("k{n:03}")).collect();
        let mut properties = vec![("big", big.as_str())];
        properties.extend(many.iter().map(|name| (name.as_str(), "<value>${big}</value>")));
        let conf = two_files(&properties, &[]).build(&|_| None);
        let total: usize = conf.entries().map(|(_, entry)| entry.value.len()).sum();
        assert!(total <= MAX_TOTAL + many.len() * 8);
        assert!(matches!(
            conf.notes().last(),
            Some(Note::NotExpanded {
                why: Unexpanded::TooMuch,
                ..
            })
        ));
    }

    #[test]
    fn a_directory_without_site_files_gives_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let conf = Configuration::load(dir.path(), &|_| None).unwrap();
        assert_eq!(conf, Configuration::defaults(&|_| None));
    }

    #[test]
    fn a_site_file_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("hdfs-site.xml")).unwrap();
        let error = Configuration::load(dir.path(), &|_| None).unwrap_err();
        assert!(matches!(error, ConfError::Read { path, .. } if path.ends_with("hdfs-site.xml")));
    }
}
