//! The command line. Flag names follow spark-submit where it has them.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::settings::Layer;
use crate::terminal::Color;

/// Run jobs of many tasks on a Hadoop YARN cluster, without a JVM.
#[derive(Debug, Parser)]
#[command(
    name = "drawloom",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Directory with core-site.xml, hdfs-site.xml and yarn-site.xml; else HADOOP_CONF_DIR, YARN_CONF_DIR,
    /// /etc/hadoop/conf
    #[arg(long, global = true, value_name = "DIR")]
    pub conf_dir: Option<PathBuf>,
    /// Colours: on a terminal unless NO_COLOR is set (auto), always, or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Say only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: the chain of causes of an error, what the libraries do
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submit a job file and wait for its end
    Submit(Submit),
    /// Run one command as a job, without a job file
    Run(Run),
    /// List applications
    List(List),
    /// Show how an application is doing, or how it ended
    Status(Status),
    /// Follow a running application as if it had been submitted here; Ctrl-C only stops that
    Attach(Attach),
    /// Say why an application waits or why it failed, and what would help
    Explain(Explain),
    /// Show the logs of an application's containers
    Logs(Logs),
    /// Show an application that has ended: its stages, executors and failures, as its event log has them
    History(History),
    /// Show an application's executors and stages as they work; on a terminal until Ctrl-C, else once
    Top(Top),
    /// Check configuration, cluster, file system, queue and staging, and say what to do
    Doctor(Doctor),
    /// End an application
    Kill(Kill),
    /// Replace the ApplicationMaster of a running application; executors and finished tasks stay
    RestartAm(RestartAm),
    /// Look at and move small things on the cluster's file system
    Fs(Fs),
    /// Print every setting with its value and where that comes from
    Config(Config),
    /// Serve the metrics of all running applications to Prometheus, until Ctrl-C
    Exporter(Exporter),
    /// Run an embedded cluster on this machine until Ctrl-C, and print the configuration to export
    Mini(Mini),
    /// Print the manual page of this command, or write those of all its commands into a directory
    Man {
        /// Write drawloom.1, drawloom-submit.1 and so on here
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Where to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Master {
    /// The cluster that the Hadoop configuration names.
    Yarn,
    /// A cluster in this process, on this machine.
    Mini,
}

/// Options that submit and run share.
#[derive(Debug, Clone, Default, Args)]
pub struct SubmitOptions {
    /// Where to run: a YARN cluster, or an embedded one on this machine; mini when no Hadoop configuration is found
    #[arg(long, value_enum)]
    pub master: Option<Master>,
    /// Where the driver runs: cluster (in the ApplicationMaster) or client (in this process)
    #[arg(long, value_name = "MODE")]
    pub deploy_mode: Option<String>,
    /// The application's name
    #[arg(long)]
    pub name: Option<String>,
    /// The YARN queue
    #[arg(long)]
    pub queue: Option<String>,
    /// How many executors
    #[arg(long, value_name = "N")]
    pub num_executors: Option<String>,
    /// Container memory of each executor, like 512MiB or 2g
    #[arg(long, value_name = "SIZE")]
    pub executor_memory: Option<String>,
    /// Task slots of each executor
    #[arg(long, value_name = "N")]
    pub executor_cores: Option<String>,
    /// Container memory of the ApplicationMaster
    #[arg(long, value_name = "SIZE")]
    pub driver_memory: Option<String>,
    /// Virtual cores of the ApplicationMaster
    #[arg(long, value_name = "N")]
    pub driver_cores: Option<String>,
    /// Files for every task's directory, comma-separated, each with an optional #NAME
    #[arg(long, value_name = "FILE,…", value_delimiter = ',')]
    pub files: Vec<String>,
    /// Archives to unpack for every task, comma-separated, each with an optional #NAME
    #[arg(long, value_name = "FILE,…", value_delimiter = ',')]
    pub archives: Vec<String>,
    /// A setting; `drawloom config` lists all
    #[arg(long = "conf", value_name = "KEY=VALUE", value_parser = pair)]
    pub conf: Vec<(String, String)>,
    /// A file of settings
    #[arg(long, value_name = "FILE")]
    pub properties_file: Option<PathBuf>,
    /// Print just the application's id and do not wait
    #[arg(long)]
    pub detach: bool,
    /// Check everything, print what would be submitted, submit nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Give up waiting and kill the application after this long
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<humantime::Duration>,
}

impl SubmitOptions {
    /// The flags as the strongest layer of settings.
    pub fn layer(&self) -> Layer {
        let mut layer = Layer::flags(self.conf.iter().cloned());
        let flags = [
            ("--deploy-mode", "deploy-mode", &self.deploy_mode),
            ("--name", "name", &self.name),
            ("--queue", "queue", &self.queue),
            ("--num-executors", "executors.instances", &self.num_executors),
            ("--executor-memory", "executors.memory", &self.executor_memory),
            ("--executor-cores", "executors.cores", &self.executor_cores),
            ("--driver-memory", "am.memory", &self.driver_memory),
            ("--driver-cores", "am.cores", &self.driver_cores),
        ];
        for (flag, key, value) in flags {
            layer.set_flag(flag, key, value.clone());
        }
        layer
    }
}

/// `drawloom submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// The job file, YAML or JSON
    pub job: PathBuf,
    /// Options.
    #[command(flatten)]
    pub options: SubmitOptions,
}

/// `drawloom run`.
#[derive(Debug, Args)]
pub struct Run {
    /// How many tasks, or into how many tasks the inputs are dealt
    #[arg(short = 'n', long, value_name = "TASKS")]
    pub tasks: Option<u32>,
    /// Files, globs or directories on the cluster, fed to the tasks' standard input
    #[arg(long, value_name = "GLOB")]
    pub input: Vec<String>,
    /// Directory on the cluster for what the tasks print
    #[arg(long, value_name = "DIR")]
    pub output: Option<String>,
    /// Options.
    #[command(flatten)]
    pub options: SubmitOptions,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `drawloom list`.
#[derive(Debug, Args)]
pub struct List {
    /// Applications that have ended too
    #[arg(short, long)]
    pub all: bool,
    /// Applications of every type, not only ours
    #[arg(long)]
    pub all_types: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// `drawloom status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The application's id
    pub app: String,
    /// How to print
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// `drawloom attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// The application's id
    pub app: String,
}

/// `drawloom explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The application's id
    pub app: String,
    /// How to print
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// `drawloom logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The application's id
    pub app: String,
    /// Only this executor's (or the ApplicationMaster's) container, by its id or the number at its end
    #[arg(long, value_name = "CONTAINER")]
    pub executor: Option<String>,
    /// Only this task's, by stage and number, like count/17
    #[arg(long, value_name = "STAGE/TASK")]
    pub task: Option<String>,
    /// Only the last bytes of each file, like 64k
    #[arg(long, value_name = "SIZE")]
    pub tail: Option<String>,
    /// Go on with what running containers write, each line with its container and task, until the application ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only what failed: task attempts, lost executors, ApplicationMasters
    #[arg(long, conflicts_with = "follow")]
    pub failed: bool,
}

/// `drawloom history`.
#[derive(Debug, Args)]
pub struct History {
    /// The application's id
    pub app: String,
    /// Where event logs are; the setting history.dir unless given
    #[arg(long, value_name = "DIR")]
    pub dir: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// `drawloom top`.
#[derive(Debug, Args)]
pub struct Top {
    /// The application's id
    pub app: String,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub interval: humantime::Duration,
}

/// `drawloom doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The queue to look at
    #[arg(long)]
    pub queue: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// `drawloom kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// The application's id
    pub app: String,
    /// The reason, shown in its diagnostics
    #[arg(long, default_value = "killed by `drawloom kill`")]
    pub reason: String,
    /// End only this job, by name or number; the others go on
    #[arg(long, conflicts_with_all = ["stage", "reason"])]
    pub job: Option<String>,
    /// End the job of this stage, by name or number
    #[arg(long, conflicts_with = "reason")]
    pub stage: Option<String>,
}

/// `drawloom restart-am`.
#[derive(Debug, Args)]
pub struct RestartAm {
    /// The application's id
    pub app: String,
    /// Have this build of drawloom go on with the application; its executors stay what they are
    #[arg(long)]
    pub upgrade: bool,
}

/// `drawloom fs`.
#[derive(Debug, Args)]
pub struct Fs {
    /// What to do.
    #[command(subcommand)]
    pub command: FsCommand,
}

/// What to do with files.
#[derive(Debug, Subcommand)]
pub enum FsCommand {
    /// List files
    Ls {
        /// Include everything below directories
        #[arg(short = 'R', long)]
        recursive: bool,
        /// Paths and patterns; the home directory when none
        paths: Vec<String>,
    },
    /// Print files
    Cat {
        /// Paths and patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Copy local files to the cluster
    Put {
        /// Replace files that exist
        #[arg(short, long)]
        force: bool,
        /// Local files and directories, then the target
        #[arg(required = true, num_args = 2..)]
        paths: Vec<String>,
    },
    /// Copy files from the cluster
    Get {
        /// Replace files that exist
        #[arg(short, long)]
        force: bool,
        /// Paths and patterns, then the local target
        #[arg(required = true, num_args = 2..)]
        paths: Vec<String>,
    },
    /// Make directories, with those above them
    Mkdir {
        /// Paths
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// Delete files
    Rm {
        /// Directories with all below them
        #[arg(short, long)]
        recursive: bool,
        /// Paths and patterns
        #[arg(required = true)]
        paths: Vec<String>,
    },
}

/// `drawloom mini`.
#[derive(Debug, Args)]
pub struct Mini {
    /// How many NodeManagers
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: u16,
    /// What each gives to containers
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    pub memory: String,
    /// Cores that each says it has
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..))]
    pub cores: u32,
    /// What each has besides, as NAME=N,…; with any, cores count, too
    #[arg(long, value_name = "RESOURCES", default_value = "", hide_default_value = true)]
    pub resources: String,
    /// What is to go wrong, and when (docs/faults.md)
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// The address to listen at; others than this machine's own need --expose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// Let everybody who reaches the address run programs as you
    #[arg(long)]
    pub expose: bool,
}

/// How Prometheus reaches an application's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Through the exporter, which asks the ResourceManager's proxy and keeps the last sample after the end.
    Relay,
    /// Straight from the ResourceManager's proxy.
    Proxy,
}

/// `drawloom exporter`.
#[derive(Debug, Args)]
pub struct Exporter {
    /// Where to listen; 0.0.0.0:9755 serves other machines too
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9755")]
    pub listen: std::net::SocketAddr,
    /// Where Prometheus reaches this exporter, when that is not the address above
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// How often the ResourceManager is asked
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub interval: humantime::Duration,
    /// How long the last sample of an application that has ended is still served
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub keep: humantime::Duration,
    /// The value of the label `cluster`
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub cluster: String,
    /// How Prometheus reaches an application's metrics
    #[arg(long, value_enum, default_value = "relay")]
    pub via: Via,
    /// Write the targets to this file, for `file_sd_configs`, at every interval
    #[arg(long, value_name = "FILE")]
    pub file_sd: Option<PathBuf>,
    /// Ask once, write the file of `--file-sd`, and end; for cron
    #[arg(long, requires = "file_sd")]
    pub once: bool,
}

/// `drawloom config`.
#[derive(Debug, Args)]
pub struct Config {
    /// A job file to take into account
    pub job: Option<PathBuf>,
    /// A setting
    #[arg(long = "conf", value_name = "KEY=VALUE", value_parser = pair)]
    pub conf: Vec<(String, String)>,
    /// A file of settings
    #[arg(long, value_name = "FILE")]
    pub properties_file: Option<PathBuf>,
    /// The resolved Hadoop configuration too
    #[arg(long)]
    pub hadoop: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// The completion script of a shell.
#[must_use]
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "drawloom", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// All commands, those below others too.
    fn commands(below: &clap::Command, found: &mut Vec<clap::Command>) {
        for command in below.get_subcommands() {
            found.push(command.clone());
            commands(command, found);
        }
    }

    #[test]
    fn completions_have_every_command_and_every_flag() {
        let mut all = Vec::new();
        commands(&Cli::command(), &mut all);
        for shell in clap_complete::Shell::value_variants() {
            let script = completions(*shell);
            for command in &all {
                assert!(
                    script.contains(command.get_name()),
                    "{shell}: {}",
                    command.get_name()
                );
                for flag in command.get_arguments().filter_map(|argument| argument.get_long()) {
                    assert!(script.contains(flag), "{shell}: {} --{flag}", command.get_name());
                }
            }
        }
    }

    #[test]
    fn the_readme_names_every_command() {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("\n## Commands\n").unwrap();
        let table = table.split("\n## ").next().unwrap();
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let ways = [
                format!("`drawloom {name}"),
                format!("`{name} "),
                format!("`{name}`"),
            ];
            assert!(ways.iter().any(|way| table.contains(way)), "{name}");
        }
    }

    #[test]
    fn flags_are_stronger_than_conf() {
        let cli = ["drawloom", "submit", "j", "--conf", "queue=a", "--queue", "b"];
        let Command::Submit(submit) = Cli::parse_from(cli).command else {
            panic!("not submit")
        };
        let resolved = crate::settings::Resolved::of(&crate::settings::Layers(vec![submit.options.layer()]));
        assert_eq!(resolved.unwrap().text("queue"), "b");
    }

    #[test]
    fn a_run_takes_its_command_after_two_dashes() {
        let cli = ["drawloom", "run", "-n", "3", "--", "echo", "-n", "x"];
        let Command::Run(run) = Cli::parse_from(cli).command else {
            panic!("not run")
        };
        assert_eq!((run.tasks, run.command.len()), (Some(3), 3));
    }
}
