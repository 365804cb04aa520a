//! Who may see the pages: the ResourceManager's proxy, as Hadoop's `AmIpFilter` has it.
//!
//! A request from another address is sent to the proxy, which knows who asks. Only `/healthz` is open, and `/metrics`
//! where `metrics.open` says so.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::permissions::{Access as Kind, Permissions};
use hadoop::conf::{ConfError, Configuration, HostPort};

/// The usual port of a proxy that runs by itself.
const PROXY_PORT: u16 = 9099;
/// How long one name may take to resolve.
const RESOLVE: Duration = Duration::from_secs(5);

/// The proxies of the cluster.
#[derive(Debug)]
pub struct Proxy {
    hosts: Vec<String>,
    /// Scheme, host and port of the first proxy.
    base: String,
    /// `/proxy/<application>`.
    path: String,
    /// Whether everybody may read the metrics.
    open_metrics: bool,
    addresses: Mutex<BTreeSet<IpAddr>>,
}

/// Whose requests are answered.
#[derive(Debug)]
pub enum Visitors {
    /// Those that come through the cluster's proxy, as far as they are permitted; others are sent there.
    ThroughProxy(Box<(Proxy, Permissions)>),
    /// All: what is served is no secret.
    Anyone,
}

impl Visitors {
    /// Looks up again what is known by name.
    pub async fn refresh(&self) {
        if let Self::ThroughProxy(gate) = self {
            gate.0.refresh().await;
        }
    }

    /// Decides about a request for `target`, a path with its parameters, from `peer`.
    #[must_use]
    pub fn access(&self, peer: IpAddr, target: &str) -> Access {
        match self {
            Self::ThroughProxy(gate) => gate.0.access(peer, target),
            Self::Anyone => Access::Granted,
        }
    }

    /// Whether there is anything to be changed here.
    #[must_use]
    pub fn take_orders(&self) -> bool {
        matches!(self, Self::ThroughProxy(..))
    }

    /// Whether a user may do something with `path`. The metrics hold nothing of the job's data.
    pub async fn allow(&self, user: Option<&str>, kind: Kind, path: &str) -> bool {
        match self {
            Self::ThroughProxy(gate) => {
                let public = kind == Kind::View && matches!(path, "/metrics" | "/healthz");
                public || gate.1.allow(user, kind).await
            }
            Self::Anyone => true,
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It is answered.
    Granted,
    /// It is sent to this URL.
    Elsewhere(String),
    /// No proxy's address is known, so nobody can be trusted.
    Unknown,
}

impl Proxy {
    /// The proxy named by `yarn.web-proxy.address`, or else the pages of all ResourceManagers.
    ///
    /// # Errors
    /// Addresses in the configuration that cannot be read.
    pub fn new(conf: &Configuration, path: &str) -> Result<Self, ConfError> {
        let rms = conf.resource_managers()?.web;
        let own = conf.get("yarn.web-proxy.address").filter(|text| !text.is_empty());
        let own = own.and_then(|text| HostPort::parse_with_default(text, PROXY_PORT).ok());
        let scheme = if rms.first().is_some_and(|rm| rm.https) {
            "https"
        } else {
            "http"
        };
        let all = own.map_or_else(|| rms.into_iter().map(|rm| rm.at).collect(), |own| vec![own]);
        Ok(Self {
            base: all
                .first()
                .map(|first| format!("{scheme}://{first}"))
                .unwrap_or_default(),
            hosts: all.into_iter().map(|at| at.host).collect(),
            path: path.to_owned(),
            open_metrics: false,
            addresses: Mutex::default(),
        })
    }

    /// Whether everybody may read the metrics.
    #[must_use]
    pub fn with_open_metrics(mut self, open: bool) -> Self {
        self.open_metrics = open;
        self
    }

    /// Looks the proxies' names up; those that resolve replace what was known.
    pub async fn refresh(&self) {
        let mut found = BTreeSet::new();
        for host in &self.hosts {
            match tokio::time::timeout(RESOLVE, tokio::net::lookup_host((host.as_str(), 0))).await {
                Ok(Ok(addresses)) => found.extend(addresses.map(|address| known_as(address.ip()))),
                Ok(Err(error)) => tracing::warn!(host, %error, "the proxy's name does not resolve"),
                Err(_) => tracing::warn!(host, "the proxy's name takes too long to resolve"),
            }
        }
        if !found.is_empty() {
            *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    /// Decides about a request for `target`, a path with its parameters, from `peer`.
    #[must_use]
    pub fn access(&self, peer: IpAddr, target: &str) -> Access {
        let path = target.split('?').next().unwrap_or_default();
        if path == "/healthz" || path == "/metrics" && self.open_metrics {
            return Access::Granted;
        }
        let known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&peer.to_canonical()) {
            Access::Granted
        } else if known.is_empty() {
            Access::Unknown
        } else {
            Access::Elsewhere(self.redirect(target))
        }
    }

    /// `/redirect` behind `/proxy` tells the proxy that the request has been here.
    fn redirect(&self, target: &str) -> String {
        let path = self.path.replacen("/proxy/", "/proxy/redirect/", 1);
        format!("{}{path}{target}", self.base)
    }
}

/// An address to listen on everywhere means this machine to a client.
fn known_as(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    if address.is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn proxy(web: &str) -> Proxy {
        let conf =
            Configuration::builder()
                .defaults()
                .set("yarn.resourcemanager.webapp.address", web, "test");
        let proxy = Proxy::new(&conf.build(&|_| None), "/proxy/application_1_0001").unwrap();
        proxy.refresh().await;
        proxy
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn only_the_proxy_gets_pages_and_everybody_else_is_sent_to_it() {
        let proxy = proxy("10.9.8.7:8088").await;
        assert_eq!(proxy.access(ip("10.9.8.7"), "/"), Access::Granted);
        assert_eq!(proxy.access(ip("::ffff:10.9.8.7"), "/"), Access::Granted);
        let elsewhere = "http://10.9.8.7:8088/proxy/redirect/application_1_0001/tasks?stage=1&x=%2F";
        assert_eq!(
            proxy.access(ip("10.1.1.1"), "/tasks?stage=1&x=%2F"),
            Access::Elsewhere(elsewhere.into())
        );
        let metrics = proxy.access(ip("10.1.1.1"), "/metrics");
        assert!(matches!(metrics, Access::Elsewhere(_)), "{metrics:?}");
        assert_eq!(proxy.access(ip("10.1.1.1"), "/healthz?x"), Access::Granted);
        let proxy = proxy.with_open_metrics(true);
        assert_eq!(proxy.access(ip("10.1.1.1"), "/metrics"), Access::Granted);
        assert!(matches!(
            proxy.access(ip("10.1.1.1"), "/metricsx"),
            Access::Elsewhere(_)
        ));
    }

    #[tokio::test]
    async fn on_a_loopback_cluster_it_is_the_address_that_counts() {
        for web in ["127.0.0.1:8088", "0.0.0.0:8088"] {
            let proxy = proxy(web).await;
            assert_eq!(proxy.access(ip("127.0.0.1"), "/"), Access::Granted, "{web}");
            assert!(matches!(proxy.access(ip("127.0.0.2"), "/"), Access::Elsewhere(_)));
            assert!(matches!(proxy.access(ip("10.1.1.1"), "/"), Access::Elsewhere(_)));
        }
    }

    #[test]
    fn before_the_proxy_is_known_nobody_is_trusted() {
        let conf = Configuration::builder().defaults().build(&|_| None);
        let proxy = Proxy::new(&conf, "/proxy/a").unwrap();
        assert_eq!(proxy.access(ip("127.0.0.1"), "/"), Access::Unknown);
    }
}
