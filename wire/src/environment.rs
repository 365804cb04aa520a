//! Names of what a container of the application finds when it starts: environment variables, and a file in its
//! working directory. The client sets them for the ApplicationMaster, the ApplicationMaster for executors.

/// SHA-256 of the executable, in hexadecimal. Set for the ApplicationMaster and for executors. An executor without it
/// computes it itself, which costs some milliseconds of its start. It guards against a mix of builds, not against an
/// attacker: for that there are certificates.
pub const BUILD: &str = "DRAWLOOM_BUILD";
/// Set for an ApplicationMaster that has become another build since it was submitted: the SHA-256 of its executable.
pub const RUNNING_BUILD: &str = "DRAWLOOM_RUNNING_BUILD";
/// URI of the application's staging directory. Set for the ApplicationMaster and for executors, which find a later
/// ApplicationMaster there.
pub const STAGING: &str = "DRAWLOOM_STAGING";
/// The application's id. Set for executors.
pub const APP_ID: &str = "DRAWLOOM_APP_ID";
/// The application attempt that starts the executor. Set for executors.
pub const EPOCH: &str = "DRAWLOOM_EPOCH";
/// `host:port` of the gateway. Set for executors.
pub const GATEWAY: &str = "DRAWLOOM_GATEWAY";
/// Task slots of the executor. Set for executors.
pub const SLOTS: &str = "DRAWLOOM_SLOTS";
/// Memory of the executor's container, in MiB. Set for executors.
pub const MEMORY_MIB: &str = "DRAWLOOM_MEMORY_MIB";
/// What else the container was given, `name=amount` by comma; not set when there is nothing else. Set for executors.
pub const RESOURCES: &str = "DRAWLOOM_RESOURCES";
/// The devices that the container may use, by comma, as far as the node shows them. Set by executors for tasks.
pub const DEVICES: &str = "DRAWLOOM_DEVICES";
/// `false`: tasks may use more than that together, as far as YARN lets them. Set for executors.
pub const MEMORY_ENFORCED: &str = "DRAWLOOM_MEMORY_ENFORCED";
/// Set when an executor must end with whoever holds the other end of its standard input: in the container of the
/// ApplicationMaster.
pub const LIFELINE: &str = "DRAWLOOM_LIFELINE";

/// The file with the resolved Hadoop configuration, a JSON object of texts. Localized for both.
pub const CONF_FILE_NAME: &str = "hadoop-conf.json";
