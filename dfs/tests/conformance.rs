//! The conformance checks on local files, and on the HDFS that `DRAWLOOM_TEST_HDFS=hdfs://host:port` names.

use std::path::Path;
use std::sync::Arc;

use dfs::conformance::check_all;
use dfs::{FileSystem, FileSystems, LocalFileSystem};
use hadoop::conf::Configuration;

/// That of `HADOOP_CONF_DIR`, for name services, with `root` as the default file system.
fn configuration(root: &str) -> Configuration {
    let env = |name: &str| std::env::var(name).ok();
    let conf = match env("HADOOP_CONF_DIR") {
        None => Configuration::builder().defaults(),
        Some(dir) => Configuration::builder()
            .dir(Path::new(&dir))
            .expect("HADOOP_CONF_DIR can be read"),
    };
    conf.set("fs.defaultFS", root, "test").build(&env)
}

#[tokio::test]
async fn local_files_conform() {
    let directory = tempfile::tempdir().unwrap();
    let fs = Arc::new(LocalFileSystem::new(directory.path()).unwrap());
    let base = fs.home().join("conformance");
    check_all(fs, &base).await;
}

#[tokio::test]
async fn hdfs_conforms() {
    let Ok(root) = std::env::var("DRAWLOOM_TEST_HDFS") else {
        eprintln!("not run: DRAWLOOM_TEST_HDFS names no HDFS");
        return;
    };
    let conf = configuration(&root);
    let file_systems = FileSystems::builder(&conf, &whoami()).build().unwrap();
    let fs = file_systems.default_fs().unwrap();
    let base = fs.home().join(&format!("conformance-{}", std::process::id()));
    check_all(fs, &base).await;
}

fn whoami() -> String {
    ["HADOOP_USER_NAME", "USER"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "root".to_owned())
}
