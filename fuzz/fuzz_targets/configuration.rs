//! Site files: two layers of arbitrary text, resolved, read by every getter, shipped and read again.
//!
//! A zero byte divides the input into the two files. The files are named in a directory that does not exist, so a
//! relative include finds nothing. The built-in defaults stay out: they never change and would take most of the time.

#![no_main]

use std::path::Path;

use hadoop::conf::{Builder, Configuration, TimeUnit, is_sensitive};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once('\0').unwrap_or((text, ""));
    let builder = add(Configuration::builder(), "core-site.xml", first);
    let builder = add(builder, "yarn-site.xml", second);
    let conf = builder.build(&|name| (name.len() < 4).then(|| name.to_owned()));
    conf.notes().iter().for_each(|note| drop(note.to_string()));
    read_everything(&conf);
    ship(&conf);
});

/// The layer, if it is one; its complaint printed, if not.
fn add(builder: Builder, name: &str, text: &str) -> Builder {
    let path = Path::new("/no/such/directory").join(name);
    builder.clone().xml(&path, text).unwrap_or_else(|error| {
        let _ = error.to_string();
        builder
    })
}

fn read_everything(conf: &Configuration) {
    for (key, _) in conf.entries() {
        let _ = (conf.bool(key, false), conf.strings(key));
        let _ = (conf.int(key).is_ok(), conf.size(key).is_ok());
        let _ = conf.duration(key, TimeUnit::Milliseconds).is_ok();
    }
    let _ = conf.rpc_protection().is_ok();
    let _ = (conf.am_expiry().is_ok(), conf.allocation().is_ok());
    let _ = (conf.default_fs(), conf.hdfs_client_map());
}

fn ship(conf: &Configuration) {
    let shipped = Configuration::from_map(conf.to_map());
    for (key, entry) in conf.entries().filter(|(key, _)| !is_sensitive(key)) {
        assert_eq!(shipped.get(key), Some(entry.value.as_str()));
    }
    match (conf.resource_managers(), shipped.resource_managers()) {
        (Ok(here), Ok(there)) => assert_eq!(here, there),
        (here, there) => assert_eq!(here.is_ok(), there.is_ok()),
    }
}
