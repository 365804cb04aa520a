//! What an executor is told by the environment of its container, checked before anything else is done.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hadoop::conf::Configuration;
use hadoop::credentials::Credentials;
use wire::amounts::Amounts;
use wire::environment as variable;
use wire::id::{Epoch, ExecutorId};
use wire::security::{Identity, secret};

use crate::devices;
use crate::shares::{Share, Shares};

/// Why an executor cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable is not there.
    #[error("{0} is not set: an executor is started by its ApplicationMaster, not by hand")]
    Missing(&'static str),
    /// A variable has no usable value.
    #[error("{name}={value:?} cannot be used: expected {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The keys that prove who we are cannot be had.
    #[error("cannot read the application's keys from {path}: {message}")]
    Keys {
        /// The credentials file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

/// The variables of a process, as a map: settings and tasks read this and never the process's own.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// The settings of an executor.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) gateway: String,
    /// The application's staging directory, where a later ApplicationMaster leaves its address.
    pub(crate) staging: Option<String>,
    pub(crate) application: String,
    pub(crate) executor: ExecutorId,
    pub(crate) epoch: Epoch,
    pub(crate) host: String,
    pub(crate) slots: u32,
    /// In bytes.
    pub(crate) memory: u64,
    /// What executor and tasks may use together, in bytes.
    pub(crate) memory_limit: u64,
    /// What the container was asked with besides memory and cores.
    pub(crate) resources: Amounts,
    /// The devices that it was given, by resource.
    pub(crate) devices: BTreeMap<String, Vec<String>>,
    pub(crate) build: Option<String>,
    /// The container's working directory, where localized files are.
    pub(crate) directory: PathBuf,
    /// Where YARN collects logs from.
    pub(crate) logs: PathBuf,
    credentials: PathBuf,
    hadoop_conf: PathBuf,
    user: String,
    /// What tasks inherit.
    pub(crate) environment: Environment,
}

impl Settings {
    /// Reads the variables; `directory` is the process's working directory.
    ///
    /// # Errors
    /// [`SettingsError`], for the first variable that is missing or wrong.
    pub(crate) fn read(environment: Environment, directory: &Path) -> Result<Self, SettingsError> {
        let resources = Reader(&environment).resources()?;
        let (environment, devices) = with_devices(environment, &resources);
        let read = Reader(&environment);
        let memory_mib: u64 = read.parsed(variable::MEMORY_MIB, "a number of MiB")?;
        let memory = memory_mib.saturating_mul(1 << 20);
        let enforced = read
            .get(variable::MEMORY_ENFORCED)
            .is_none_or(|text| text != "false");
        Ok(Self {
            gateway: read.required(variable::GATEWAY)?,
            staging: read.get(variable::STAGING),
            application: read.required(variable::APP_ID)?,
            executor: read.parsed("CONTAINER_ID", "a container id")?,
            epoch: Epoch(read.parsed(variable::EPOCH, "the number of the application attempt")?),
            host: read.required("NM_HOST")?,
            slots: read.slots()?,
            memory,
            memory_limit: if enforced { memory } else { u64::MAX },
            build: read.get(variable::BUILD),
            resources,
            devices,
            directory: directory.to_owned(),
            logs: read.logs().unwrap_or_else(|| directory.to_owned()),
            credentials: PathBuf::from(read.required("HADOOP_TOKEN_FILE_LOCATION")?),
            hadoop_conf: directory.join(variable::CONF_FILE_NAME),
            user: read
                .get("HADOOP_USER_NAME")
                .or_else(|| read.get("USER"))
                .unwrap_or_else(|| "nobody".to_owned()),
            environment,
        })
    }

    /// The books of what its tasks share.
    pub(crate) fn shares(&self) -> Shares {
        Shares::new(self.memory, &self.resources, self.devices.clone())
    }

    /// The devices that a task sees: its own, or those of the executor when no stage shares them out.
    pub(crate) fn devices_of(&self, share: &Share) -> Vec<String> {
        let devices = if share.devices.is_empty() {
            &self.devices
        } else {
            &share.devices
        };
        devices.values().flatten().cloned().collect()
    }

    /// Who acts on clusters that believe a name.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The keys of the executor, from the credentials that YARN delivered.
    ///
    /// # Errors
    /// [`SettingsError::Keys`].
    pub(crate) fn identity(&self) -> Result<Identity, SettingsError> {
        let fail = |message: String| SettingsError::Keys {
            path: self.credentials.clone(),
            message,
        };
        let credentials = Credentials::load(&self.credentials).map_err(|error| fail(whole_chain(&error)))?;
        let secret = |name: &str| {
            let found = credentials.secrets.get(name).cloned();
            found.ok_or_else(|| fail(format!("there is no secret {name}")))
        };
        Ok(Identity {
            authority: secret(secret::AUTHORITY)?,
            certificate: secret(secret::EXECUTOR_CERTIFICATE)?,
            key: secret(secret::EXECUTOR_KEY)?,
        })
    }

    /// The Hadoop configuration that the client resolved; empty when no file was localized, which is enough for
    /// local files.
    ///
    /// # Errors
    /// A text for people when there is a file and it cannot be used.
    pub(crate) fn hadoop_configuration(&self) -> Result<Configuration, String> {
        let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", self.hadoop_conf.display());
        let text = match std::fs::read_to_string(&self.hadoop_conf) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Configuration::from_map(BTreeMap::new()));
            }
            text => text.map_err(|error| fail(&error))?,
        };
        let map = serde_json::from_str(&text).map_err(|error| fail(&error))?;
        Ok(Configuration::from_map(map))
    }
}

/// Tells tasks which devices the container has, when it was asked for with GPUs.
fn with_devices(
    mut environment: Environment,
    resources: &Amounts,
) -> (Environment, BTreeMap<String, Vec<String>>) {
    let mut names = resources.iter().map(|(name, _)| name);
    let Some(name) = names.find(|name| name.contains("gpu")) else {
        return (environment, BTreeMap::new());
    };
    let devices = devices::given(&environment, Path::new("/dev"));
    tracing::info!(?devices, "devices of the container");
    environment.insert(variable::DEVICES.into(), devices.join(",").into());
    (environment, BTreeMap::from([(name.to_owned(), devices)]))
}

/// An error with everything that caused it, in one line.
pub(crate) fn whole_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

struct Reader<'a>(&'a Environment);

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self
            .0
            .get(std::ffi::OsStr::new(name))?
            .to_string_lossy()
            .into_owned();
        (!value.is_empty()).then_some(value)
    }

    fn required(&self, name: &'static str) -> Result<String, SettingsError> {
        self.get(name).ok_or(SettingsError::Missing(name))
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, SettingsError> {
        let value = self.required(name)?;
        value.parse().map_err(|_| SettingsError::Invalid {
            name,
            value,
            expected,
        })
    }

    fn resources(&self) -> Result<Amounts, SettingsError> {
        let (name, expected) = (variable::RESOURCES, "names and amounts, like yarn.io/gpu=1");
        let value = self.get(name).unwrap_or_default();
        value.parse().map_err(|()| SettingsError::Invalid {
            name,
            value,
            expected,
        })
    }

    fn slots(&self) -> Result<u32, SettingsError> {
        let slots = self.parsed(variable::SLOTS, "a number from 1 to 4096")?;
        if (1..=4096).contains(&slots) {
            return Ok(slots);
        }
        let value = slots.to_string();
        Err(SettingsError::Invalid {
            name: variable::SLOTS,
            value,
            expected: "a number from 1 to 4096",
        })
    }

    /// The first of YARN's log directories for this container: all of them are collected.
    fn logs(&self) -> Option<PathBuf> {
        let all = self.get("LOG_DIRS")?;
        all.split(',')
            .map(str::trim)
            .find(|dir| !dir.is_empty())
            .map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(changes: &[(&str, &str)]) -> Environment {
        let base = [
            ("DRAWLOOM_GATEWAY", "am-host:4711"),
            ("DRAWLOOM_APP_ID", "application_1_0001"),
            ("DRAWLOOM_EPOCH", "2"),
            ("DRAWLOOM_SLOTS", "4"),
            ("DRAWLOOM_MEMORY_MIB", "512"),
            ("CONTAINER_ID", "container_1_0001_02_000003"),
            ("NM_HOST", "node7"),
            ("LOG_DIRS", "/log/a, /log/b"),
            ("HADOOP_TOKEN_FILE_LOCATION", "/w/container_tokens"),
        ];
        let all = base.iter().chain(changes).filter(|(_, value)| !value.is_empty());
        let mut environment: Environment = all.map(|(name, value)| (name.into(), value.into())).collect();
        for (name, _) in changes.iter().filter(|(_, value)| value.is_empty()) {
            environment.remove(std::ffi::OsStr::new(name));
        }
        environment
    }

    fn read(changes: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(environment(changes), Path::new("/w")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_complete_environment_is_understood() {
        let settings = read(&[]).unwrap();
        assert_eq!(
            (settings.slots, settings.memory, settings.epoch),
            (4, 512 << 20, Epoch(2))
        );
        assert_eq!(settings.logs, Path::new("/log/a"));
        assert_eq!(settings.hadoop_conf, Path::new("/w/hadoop-conf.json"));
    }

    #[test]
    fn each_missing_variable_is_named() {
        let needed = [
            "DRAWLOOM_GATEWAY",
            "DRAWLOOM_APP_ID",
            "DRAWLOOM_EPOCH",
            "DRAWLOOM_SLOTS",
            "DRAWLOOM_MEMORY_MIB",
            "CONTAINER_ID",
            "NM_HOST",
            "HADOOP_TOKEN_FILE_LOCATION",
        ];
        for name in needed {
            let error = read(&[(name, "")]).unwrap_err();
            assert!(error.starts_with(&format!("{name} is not set")), "{error}");
        }
    }

    #[test]
    fn values_that_make_no_sense_are_shown() {
        let error = read(&[("DRAWLOOM_SLOTS", "0")]).unwrap_err();
        assert_eq!(
            error,
            r#"DRAWLOOM_SLOTS="0" cannot be used: expected a number from 1 to 4096"#
        );
        assert!(read(&[("DRAWLOOM_EPOCH", "-1")]).is_err());
        assert!(read(&[("CONTAINER_ID", "a/b")]).is_err());
    }

    #[test]
    fn without_log_directories_logs_stay_in_the_working_directory() {
        assert_eq!(read(&[("LOG_DIRS", "")]).unwrap().logs, Path::new("/w"));
    }
}
