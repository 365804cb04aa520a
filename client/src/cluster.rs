//! The cluster as a command sees it: which configuration, which user, and clients made when they are needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dfs::{DfsError, FileSystems};
use hadoop::conf::{ConfError, Configuration, Location};
use yarn_rest::{Auth, Client};

use crate::error::CommandError;

/// A configured cluster.
pub struct Cluster {
    /// Where the configuration is.
    pub location: Location,
    /// The configuration.
    pub conf: Configuration,
    /// The user that acts, as Hadoop's simple authentication takes it.
    pub user: String,
}

impl Cluster {
    /// Finds and reads the configuration.
    ///
    /// # Errors
    /// None is found, or it cannot be read.
    pub fn find(conf_dir: Option<&Path>) -> Result<Self, CommandError> {
        Self::find_any(conf_dir)?.ok_or_else(|| {
            CommandError::refused("no Hadoop configuration is found")
                .because("neither --conf-dir, HADOOP_CONF_DIR nor YARN_CONF_DIR is given, and /etc/hadoop/conf has none")
                .help("export HADOOP_CONF_DIR=DIR, or start a cluster on this machine: drawloom mini")
        })
    }

    /// Finds and reads the configuration, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn find_any(conf_dir: Option<&Path>) -> Result<Option<Self>, CommandError> {
        let env = |name: &str| std::env::var(name).ok();
        let Some(location) = Location::find(conf_dir, &env).map_err(unreadable)? else {
            return Ok(None);
        };
        let conf = Configuration::load(&location.dir, &env).map_err(unreadable)?;
        let user = user(&env, Path::new("/etc/passwd"));
        Ok(Some(Self { location, conf, user }))
    }

    /// A client of the ResourceManagers' web interface.
    ///
    /// # Errors
    /// Their addresses cannot be had from the configuration.
    pub fn rest(&self) -> Result<Client, CommandError> {
        let managers = self.conf.resource_managers().map_err(unreadable)?;
        let addresses = managers.web.iter().map(ToString::to_string);
        let builder = Client::builder(Auth::simple(&self.user));
        addresses
            .fold(builder, |builder, address| builder.resource_manager(address))
            .build()
            .map_err(|error| {
                CommandError::refused("no client of the ResourceManager can be made").caused_by(error)
            })
    }

    /// The file systems that the configuration knows.
    ///
    /// # Errors
    /// `fs.defaultFS` cannot be used.
    pub fn file_systems(&self) -> Result<Arc<FileSystems>, CommandError> {
        file_systems(&self.conf, &self.user).map_err(|error| {
            CommandError::refused("the default file system cannot be used")
                .caused_by(error)
                .help(format!(
                    "look at fs.defaultFS in {}",
                    self.location.dir.join("core-site.xml").display()
                ))
        })
    }
}

/// An error of a file system, for people.
pub(crate) fn unusable(error: DfsError) -> CommandError {
    let help = error.help().map(str::to_owned);
    let failed = CommandError::refused("the file system refused").caused_by(error);
    match help {
        Some(help) => failed.help(help),
        None => failed,
    }
}

/// The file systems of whoever has no configuration: those of this machine, which are also those of the embedded cluster.
///
/// # Errors
/// They cannot be used.
pub(crate) fn local_file_systems() -> Result<Arc<FileSystems>, CommandError> {
    let env = |name: &str| std::env::var(name).ok();
    let user = user(&env, Path::new("/etc/passwd"));
    file_systems(&Configuration::defaults(&env), &user).map_err(unusable)
}

fn file_systems(conf: &Configuration, user: &str) -> Result<Arc<FileSystems>, DfsError> {
    let mut builder = FileSystems::builder(conf, user);
    // On a local default file system paths mean what they mean in a shell.
    if let Ok(directory) = std::env::current_dir() {
        builder = builder.local_working(&directory);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if let Some(home) = home.filter(|home| home.is_absolute()) {
        builder = builder.local_home(&home);
    }
    builder.build().map(Arc::new)
}

pub(crate) fn unreadable(error: ConfError) -> CommandError {
    let error = anyhow::Error::new(error);
    CommandError::refused("the Hadoop configuration cannot be used")
        .because(format!("{error:#}"))
        .help("name another directory with --conf-dir, or mend this one")
}

/// `HADOOP_USER_NAME`, else the name of our user id, else `USER`: as Hadoop's simple login does.
fn user(env: &dyn Fn(&str) -> Option<String>, passwd: &Path) -> String {
    let named = |name: &str| env(name).filter(|user| !user.trim().is_empty());
    let uid = rustix::process::getuid().as_raw();
    named("HADOOP_USER_NAME")
        .or_else(|| name_of(uid, &std::fs::read_to_string(passwd).ok()?))
        .or_else(|| named("USER"))
        .unwrap_or_else(|| uid.to_string())
}

fn name_of(uid: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Where a user and a system keep settings, the user's first.
pub fn settings_files(env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    // An empty or relative one means nothing: it would be a file of whichever directory we are in.
    let home = env("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(env("HOME")?).join(".config")));
    let own = home.map(|home| home.join("drawloom/drawloom.properties"));
    own.into_iter()
        .chain([PathBuf::from("/etc/drawloom/drawloom.properties")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_never_looked_for_in_the_working_directory() {
        let env = |xdg: &'static str| {
            move |name: &str| match name {
                "XDG_CONFIG_HOME" => Some(xdg.to_owned()),
                "HOME" => Some("/home/ada".to_owned()),
                _ => None,
            }
        };
        let own = |xdg| settings_files(&env(xdg)).remove(0);
        assert_eq!(own("/xdg"), Path::new("/xdg/drawloom/drawloom.properties"));
        for useless in ["", "conf"] {
            let path = own(useless);
            assert_eq!(path, Path::new("/home/ada/.config/drawloom/drawloom.properties"));
        }
    }

    #[test]
    fn the_user_is_hadoops_before_the_systems() {
        let env = |name: &str| (name == "HADOOP_USER_NAME").then(|| "ada".to_owned());
        assert_eq!(user(&env, Path::new("/nowhere")), "ada");
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000::/home/bob:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("bob"));
        assert_eq!(name_of(7, passwd), None);
    }
}
