//! Which directory the configuration is in.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{ConfError, Env, defaults};

/// Where packaged Hadoop keeps its configuration.
pub const SYSTEM_DIR: &str = "/etc/hadoop/conf";

/// Who named a configuration directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// The command line.
    Flag,
    /// The environment variable `HADOOP_CONF_DIR`.
    HadoopConfDir,
    /// The environment variable `YARN_CONF_DIR`.
    YarnConfDir,
    /// It is where packages put it.
    System,
}

impl fmt::Display for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FoundBy::Flag => "--conf-dir",
            FoundBy::HadoopConfDir => "HADOOP_CONF_DIR",
            FoundBy::YarnConfDir => "YARN_CONF_DIR",
            FoundBy::System => "convention",
        })
    }
}

/// A configuration directory that exists, can be listed and holds at least one site file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The directory.
    pub dir: PathBuf,
    /// Who named it.
    pub found_by: FoundBy,
}

impl Location {
    /// The first of: `flag` (`--conf-dir`), `HADOOP_CONF_DIR`, `YARN_CONF_DIR`, [`SYSTEM_DIR`]. The first one that
    /// is named decides, good or bad; an empty variable names nothing. `None` if nothing is named and the
    /// system's directory has no configuration.
    ///
    /// # Errors
    /// The directory was named explicitly but cannot be listed or has no site file; or the system's directory
    /// exists and cannot be listed.
    pub fn find(flag: Option<&Path>, env: &Env<'_>) -> Result<Option<Self>, ConfError> {
        Self::find_with_system(flag, env, Path::new(SYSTEM_DIR))
    }

    /// As [`Self::find`], with another directory as the system's.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_with_system(
        flag: Option<&Path>,
        env: &Env<'_>,
        system: &Path,
    ) -> Result<Option<Self>, ConfError> {
        let variable = |name: &str| {
            env(name)
                .filter(|value| !value.trim().is_empty())
                .map(PathBuf::from)
        };
        let named = flag.map(|dir| (dir.to_owned(), FoundBy::Flag));
        let named = named.or_else(|| Some((variable("HADOOP_CONF_DIR")?, FoundBy::HadoopConfDir)));
        let named = named.or_else(|| Some((variable("YARN_CONF_DIR")?, FoundBy::YarnConfDir)));
        match named {
            Some((dir, found_by)) => Self::named(dir, found_by).map(Some),
            None => Self::system(system),
        }
    }

    fn named(dir: PathBuf, found_by: FoundBy) -> Result<Self, ConfError> {
        if list(&dir, found_by)?.iter().any(|name| is_site_file(name)) {
            return Ok(Location { dir, found_by });
        }
        Err(ConfError::NoSiteFiles { path: dir, found_by })
    }

    fn system(dir: &Path) -> Result<Option<Self>, ConfError> {
        match Self::named(dir.to_owned(), FoundBy::System) {
            Ok(location) => Ok(Some(location)),
            Err(ConfError::NoSiteFiles { .. }) => Ok(None),
            Err(ConfError::Directory { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_site_file(name: &str) -> bool {
    defaults::FILES.iter().any(|file| file.site == name)
}

fn list(dir: &Path, found_by: FoundBy) -> Result<Vec<String>, ConfError> {
    let names = std::fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    });
    names.map_err(|source| ConfError::Directory {
        path: dir.to_owned(),
        found_by,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration directory named `name`.
    fn conf_dir(base: &Path, name: &str) -> PathBuf {
        let dir = base.join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("core-site.xml"), "<configuration/>").unwrap();
        dir
    }

    fn env<'a>(pairs: &'a [(&'a str, &'a Path)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, dir)| dir.to_str().unwrap().to_owned())
        }
    }

    #[test]
    fn flag_then_hadoop_then_yarn_then_system() {
        let base = tempfile::tempdir().unwrap();
        let [flag, hadoop, yarn, system] = ["f", "h", "y", "s"].map(|name| conf_dir(base.path(), name));
        let both = [
            ("HADOOP_CONF_DIR", hadoop.as_path()),
            ("YARN_CONF_DIR", yarn.as_path()),
        ];
        let cases = [
            (Some(flag.as_path()), &both[..], &flag, FoundBy::Flag),
            (None, &both[..], &hadoop, FoundBy::HadoopConfDir),
            (None, &both[1..], &yarn, FoundBy::YarnConfDir),
            (None, &[], &system, FoundBy::System),
        ];
        for (flag, vars, dir, found_by) in cases {
            let found = Location::find_with_system(flag, &env(vars), &system)
                .unwrap()
                .unwrap();
            assert_eq!((&found.dir, found.found_by), (dir, found_by));
        }
    }

    #[test]
    fn an_empty_variable_names_nothing() {
        let base = tempfile::tempdir().unwrap();
        let yarn = conf_dir(base.path(), "y");
        let vars = [
            ("HADOOP_CONF_DIR", Path::new(" ")),
            ("YARN_CONF_DIR", yarn.as_path()),
        ];
        let found = Location::find(None, &env(&vars)).unwrap().unwrap();
        assert_eq!(found.found_by, FoundBy::YarnConfDir);
    }

    #[test]
    fn a_named_directory_must_be_there() {
        let base = tempfile::tempdir().unwrap();
        let (gone, yarn) = (base.path().join("gone"), conf_dir(base.path(), "y"));
        let vars = [
            ("HADOOP_CONF_DIR", gone.as_path()),
            ("YARN_CONF_DIR", yarn.as_path()),
        ];
        let error = Location::find(None, &env(&vars)).unwrap_err();
        let expected = format!(
            "cannot read the configuration directory {} given by HADOOP_CONF_DIR",
            gone.display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_named_directory_must_hold_a_site_file() {
        let base = tempfile::tempdir().unwrap();
        let error = Location::find(Some(base.path()), &|_| None).unwrap_err();
        assert!(matches!(
            error,
            ConfError::NoSiteFiles {
                found_by: FoundBy::Flag,
                ..
            }
        ));
    }

    #[test]
    fn without_any_configuration_there_is_none() {
        let base = tempfile::tempdir().unwrap();
        for system in [base.path().to_owned(), base.path().join("gone")] {
            assert_eq!(
                Location::find_with_system(None, &|_| None, &system).unwrap(),
                None
            );
        }
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Location::find(Some(file.path()), &|_| None).unwrap_err();
        assert!(matches!(error, ConfError::Directory { .. }));
    }
}
