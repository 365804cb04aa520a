//! What YARN and the client tell this process: environment variables, credentials and localized files.
//!
//! Read once at the start and never again: the credentials file goes away with the container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hadoop::conf::Configuration;
use hadoop::credentials::Credentials;
use hadoop::ids::ContainerId;
use wire::id::Epoch;
use wire::security::{Identity, secret};

use crate::launch;

/// Reads one environment variable.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The variables, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Our own container, which names application and attempt.
    pub container: ContainerId,
    /// Where the credentials are.
    pub token_file: PathBuf,
    /// The path under which the ResourceManager's proxy shows our pages, `/proxy/<application>`.
    pub proxy_base: String,
    /// The host of our NodeManager, under which others reach us.
    pub host: String,
    /// The user on clusters with simple authentication.
    pub user: String,
    /// The SHA-256 of the executable that was submitted, which executors run.
    pub build: String,
    /// The SHA-256 of our executable; another one after an [upgrade](crate::upgrade).
    pub running_build: String,
    /// The application's staging directory, as a URI.
    pub staging: String,
    /// YARN's log directories of our container.
    pub log_dirs: Option<String>,
}

impl Environment {
    /// Reads the variables.
    ///
    /// # Errors
    /// A variable that is missing or that makes no sense, by name.
    pub fn read(lookup: &Lookup<'_>) -> anyhow::Result<Self> {
        let required = |name: &str| {
            let value = lookup(name).filter(|value| !value.is_empty());
            value.with_context(|| {
                format!("{name} is not set: the ApplicationMaster is started by YARN, not by hand")
            })
        };
        let container: ContainerId = required("CONTAINER_ID")?.parse().context("CONTAINER_ID")?;
        let default_base = format!("/proxy/{}", container.application());
        let build = required(launch::env::BUILD)?;
        let running = lookup(launch::env::RUNNING_BUILD).filter(|build| !build.is_empty());
        let user = lookup("HADOOP_USER_NAME").or_else(|| lookup("USER"));
        Ok(Self {
            token_file: required("HADOOP_TOKEN_FILE_LOCATION")?.into(),
            proxy_base: lookup("APPLICATION_WEB_PROXY_BASE").unwrap_or(default_base),
            host: required("NM_HOST")?,
            user: user.unwrap_or_else(|| "nobody".to_owned()),
            running_build: running.unwrap_or_else(|| build.clone()),
            build,
            staging: required(launch::env::STAGING)?,
            log_dirs: lookup("LOG_DIRS"),
            container,
        })
    }

    /// The application's id as text.
    #[must_use]
    pub fn application(&self) -> String {
        self.container.application().to_string()
    }

    /// Our attempt.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.container.attempt.attempt)
    }
}

/// The Hadoop configuration that the client resolved.
///
/// # Errors
/// A missing or malformed file.
pub fn configuration(directory: &Path) -> anyhow::Result<Configuration> {
    let path = directory.join(launch::CONF_FILE_NAME);
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let map: BTreeMap<String, String> =
        serde_json::from_slice(&text).with_context(|| format!("{} is no map of texts", path.display()))?;
    Ok(Configuration::from_map(map))
}

/// Our keys, from the credentials.
///
/// # Errors
/// A secret that is missing, by name.
pub fn identity(credentials: &Credentials) -> anyhow::Result<Identity> {
    let secret = |name: &str| {
        let bytes = credentials.secrets.get(name).cloned();
        bytes.with_context(|| format!("the credentials hold no secret {name}"))
    };
    Ok(Identity {
        authority: secret(secret::AUTHORITY)?,
        certificate: secret(secret::AM_CERTIFICATE)?,
        key: secret(secret::AM_KEY)?,
    })
}

/// What executors get: everything but what speaks for the ApplicationMaster.
#[must_use]
pub fn executor_credentials(credentials: &Credentials) -> Credentials {
    let mut given = credentials.for_containers();
    given.secrets.remove(secret::AM_KEY);
    given.secrets.remove(secret::AM_CERTIFICATE);
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(without: &'static str) -> impl Fn(&str) -> Option<String> {
        move |name| {
            let value = match name {
                _ if name == without => return None,
                "CONTAINER_ID" => "container_e03_1717955085543_0001_02_000001",
                "HADOOP_TOKEN_FILE_LOCATION" => "/w/container_tokens",
                "NM_HOST" => "node7",
                "HADOOP_USER_NAME" => "ada",
                "DRAWLOOM_BUILD" => "ab12",
                "DRAWLOOM_STAGING" => "hdfs://nn/user/ada/.drawloom/application_1717955085543_0001",
                _ => return None,
            };
            Some(value.to_owned())
        }
    }

    #[test]
    fn application_and_epoch_come_from_the_container() {
        let environment = Environment::read(&lookup("")).unwrap();
        assert_eq!(environment.application(), "application_1717955085543_0001");
        assert_eq!(environment.epoch(), Epoch(2));
        assert_eq!(environment.proxy_base, "/proxy/application_1717955085543_0001");
    }

    #[test]
    fn a_missing_variable_is_named() {
        for name in [
            "CONTAINER_ID",
            "HADOOP_TOKEN_FILE_LOCATION",
            "NM_HOST",
            "DRAWLOOM_BUILD",
            "DRAWLOOM_STAGING",
        ] {
            let error = Environment::read(&lookup(name)).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn executors_never_get_our_key() {
        let mut credentials = Credentials::default();
        for name in [
            secret::AUTHORITY,
            secret::AM_KEY,
            secret::AM_CERTIFICATE,
            secret::EXECUTOR_KEY,
        ] {
            credentials.secrets.insert(name.to_owned(), vec![1]);
        }
        let given = executor_credentials(&credentials);
        assert_eq!(
            given.secrets.keys().collect::<Vec<_>>(),
            [secret::AUTHORITY, secret::EXECUTOR_KEY]
        );
        assert!(identity(&given).is_err());
    }
}
