//! The list of applications as Prometheus's HTTP service discovery wants it: an array of objects with `targets` and
//! `labels`, always whole.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;
use yarn_rest::AppReport;

use crate::cli::Via;

/// Where Prometheus is to look.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) via: Via,
    /// This exporter, as `host:port`.
    pub(crate) exporter: String,
    /// The value of the label `cluster`.
    pub(crate) cluster: String,
}

#[derive(Debug, Serialize)]
struct Target<'a> {
    targets: [String; 1],
    labels: BTreeMap<&'static str, &'a str>,
}

/// The targets. Each has a label `instance` of its own: behind one address they would be one to Prometheus.
pub(crate) fn json<'a>(reports: impl Iterator<Item = &'a AppReport>, addresses: &Addresses) -> String {
    let rows: Vec<(String, String, String, &AppReport)> = reports
        .filter_map(|report| {
            let id = report.id.to_string();
            let (address, path) = place(report, &id, addresses)?;
            Some((id, address, path, report))
        })
        .collect();
    let targets: Vec<Target<'_>> = rows
        .iter()
        .map(|(id, address, path, report)| Target {
            targets: [address.clone()],
            labels: labels(id, path, report, addresses),
        })
        .collect();
    serde_json::json!(targets).to_string()
}

/// Writes the list for `file_sd_configs`: whole or not at all, and readable by Prometheus's own user.
///
/// # Errors
/// Of the file system.
pub(crate) fn write(file: &Path, targets: &str) -> std::io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut new = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory.unwrap_or(Path::new(".")))?;
    new.write_all(targets.as_bytes())?;
    new.persist(file)?;
    Ok(())
}

fn labels<'a>(
    id: &'a str,
    path: &'a str,
    report: &'a AppReport,
    addresses: &'a Addresses,
) -> BTreeMap<&'static str, &'a str> {
    BTreeMap::from([
        ("__metrics_path__", path),
        ("__meta_yarn_type", &report.application_type),
        ("instance", id),
        ("app_id", id),
        ("app_name", &report.name),
        ("yarn_user", &report.user),
        ("queue", &report.queue),
        ("cluster", &addresses.cluster),
    ])
}

/// Address and path of an application's metrics; none behind the proxy before it has pages.
fn place(report: &AppReport, id: &str, addresses: &Addresses) -> Option<(String, String)> {
    match addresses.via {
        Via::Relay => Some((addresses.exporter.clone(), format!("/app/{id}/metrics"))),
        Via::Proxy => {
            let (_, rest) = report.tracking_url.as_deref()?.split_once("://")?;
            let (host, path) = rest.split_once('/')?;
            Some((
                host.to_owned(),
                format!("/{}/metrics", path.trim_end_matches('/')),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(via: Via) -> serde_json::Value {
        let report = crate::exporter::fleet::tests::report(1, "RUNNING", "UNDEFINED");
        let addresses = Addresses {
            via,
            exporter: "127.0.0.1:9755".to_owned(),
            cluster: "lab".to_owned(),
        };
        serde_json::from_str(&json([&report].into_iter(), &addresses)).unwrap()
    }

    #[test]
    fn each_application_is_a_target_of_its_own() {
        let target = &listed(Via::Relay)[0];
        assert_eq!(target["targets"][0], "127.0.0.1:9755");
        let labels = &target["labels"];
        assert_eq!(
            labels["__metrics_path__"],
            "/app/application_1700000000000_0001/metrics"
        );
        assert_eq!(labels["instance"], "application_1700000000000_0001");
        assert_eq!(
            (&labels["queue"], &labels["cluster"]),
            (&"root.etl".into(), &"lab".into())
        );
    }

    #[test]
    fn the_proxy_is_named_as_the_report_has_it() {
        let target = &listed(Via::Proxy)[0];
        assert_eq!(target["targets"][0], "rm:8088");
        let path = "/proxy/application_1700000000000_0001/metrics";
        assert_eq!(target["labels"]["__metrics_path__"], path);
    }
}
