//! The devices that a container was given, as far as its node shows them.
//!
//! YARN says how many in the grant and which only to the node. A NodeManager that runs containers in Docker, and
//! NVIDIA's runtime, name them in the environment (`NVIDIA_VISIBLE_DEVICES`; operators may set others in the same
//! way). The `LinuxContainerExecutor` shuts the others off by control group (`GpuResourceHandlerImpl`), so that what
//! can be opened is what was given.

use std::fs::File;
use std::path::Path;

use super::settings::Environment;

/// Variables that name devices, the one that YARN's plugins set first.
const VARIABLES: [&str; 4] = [
    "NVIDIA_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
];
/// Values of theirs that name none (`nvidia-container-runtime`).
const NONE: [&str; 3] = ["", "void", "none"];
/// The one that says nothing, because all that can be opened is meant.
const ALL: &str = "all";

/// The devices of this container. Where the environment says nothing, those of `directory` (`/dev`) that can be opened.
pub(crate) fn given(environment: &Environment, directory: &Path) -> Vec<String> {
    let values = VARIABLES
        .iter()
        .filter_map(|name| environment.get(std::ffi::OsStr::new(name))?.to_str());
    match values.map(str::trim).find(|&value| value != ALL) {
        None => openable(directory),
        Some(value) if NONE.contains(&value) => Vec::new(),
        Some(value) => value.split(',').map(|device| device.trim().to_owned()).collect(),
    }
}

/// Has the variables that name devices for programs, as far as there are any, name these and no others.
pub(crate) fn narrow(environment: &mut Environment, devices: &[String]) {
    for name in VARIABLES {
        if let Some(value) = environment.get_mut(std::ffi::OsStr::new(name)) {
            *value = devices.join(",").into();
        }
    }
}

/// The numbers of NVIDIA's devices that can be opened.
fn openable(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u32> = names
        .filter_map(|name| name.strip_prefix("nvidia")?.parse().ok())
        .filter(|number| File::open(directory.join(format!("nvidia{number}"))).is_ok())
        .collect();
    numbers.sort_unstable();
    numbers.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, value: &str) -> Environment {
        Environment::from([(name.into(), value.into())])
    }

    #[test]
    fn the_environment_names_them_before_anything_is_tried() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("nvidia7"), "").unwrap();
        let given = |name, value| given(&environment(name, value), directory.path());
        assert_eq!(given("NVIDIA_VISIBLE_DEVICES", "0, GPU-1f"), ["0", "GPU-1f"]);
        assert_eq!(given("ROCR_VISIBLE_DEVICES", "2"), ["2"]);
        assert_eq!(given("NVIDIA_VISIBLE_DEVICES", "all"), ["7"]);
        assert_eq!(given("NVIDIA_VISIBLE_DEVICES", "void"), [""; 0]);
    }

    #[test]
    fn what_can_be_opened_is_given_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "null"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(given(&Environment::new(), directory.path()), ["2", "10"]);
        assert_eq!(given(&Environment::new(), Path::new("/is/not/there")), [""; 0]);
    }
}
