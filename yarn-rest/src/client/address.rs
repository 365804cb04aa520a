//! Web addresses of daemons, and which of several to ask first.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Url;

use super::BuildError;

/// The origin of a daemon's web service: scheme, host and port, as in `http://rm1:8088`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl FromStr for Address {
    type Err = BuildError;

    /// Reads `host:port` (http) or a URL, of which only the origin counts.
    fn from_str(text: &str) -> Result<Self, BuildError> {
        let bad = |reason: String| BuildError::BadAddress {
            address: text.to_owned(),
            reason,
        };
        let with_scheme = if text.contains("://") {
            text.trim().to_owned()
        } else {
            format!("http://{}", text.trim())
        };
        let url = Url::parse(&with_scheme).map_err(|error| bad(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!("the scheme is {}", url.scheme())));
        }
        Ok(Self::of(&url))
    }
}

impl Address {
    /// The origin of `url`.
    pub(crate) fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// The URL of a request target (path and query) at this address.
    pub(crate) fn join(&self, target: &http::Uri) -> Option<Url> {
        let target = target.path_and_query()?;
        Url::parse(&format!("{}{target}", self.0)).ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The addresses of one service, and the one that answered last.
#[derive(Debug)]
pub(crate) struct Endpoints {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<Address>,
    active: usize,
}

/// Addresses learnt from redirects are kept too, but no service has more than this.
const MOST: usize = 16;

impl Endpoints {
    /// None without any address.
    pub(crate) fn new(addresses: Vec<Address>) -> Option<Self> {
        let known = Known { addresses, active: 0 };
        (!known.addresses.is_empty()).then(|| Self {
            known: Mutex::new(known),
        })
    }

    /// One address.
    pub(crate) fn single(address: Address) -> Self {
        Self {
            known: Mutex::new(Known {
                addresses: vec![address],
                active: 0,
            }),
        }
    }

    /// Every address, the one that answered last first.
    pub(crate) fn in_order(&self) -> Vec<Address> {
        let known = self.lock();
        let mut order = known.addresses.clone();
        order.rotate_left(known.active);
        order
    }

    /// Notes who answered. A ResourceManager that a redirect led to may have another name than the
    /// configuration has for it, so it is added.
    pub(crate) fn learn(&self, answered: &Address) {
        let mut known = self.lock();
        let at = known.addresses.iter().position(|address| address == answered);
        match at {
            Some(at) => known.active = at,
            None if known.addresses.len() < MOST => {
                known.active = known.addresses.len();
                known.addresses.push(answered.clone());
            }
            None => {}
        }
    }

    /// Who answered last.
    pub(crate) fn active(&self) -> String {
        let known = self.lock();
        known
            .addresses
            .get(known.active)
            .map(Address::to_string)
            .unwrap_or_default()
    }

    /// Nothing that holds the lock can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Endpoints};

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_host_and_port_or_urls() {
        assert_eq!(address("rm1:8088").as_str(), "http://rm1:8088");
        assert_eq!(
            address("https://rm1.example.com:8090/cluster?x").as_str(),
            "https://rm1.example.com:8090"
        );
        assert_eq!(address("http://[::1]:8088/").as_str(), "http://[::1]:8088");
        for bad in ["", "ftp://rm1", "rm1:port", "http://"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_target_keeps_its_encoding() {
        let url = address("rm1:8088").join(&"/ws/v1/a%2Fb?user.name=al%20ice".parse().unwrap());
        assert_eq!(
            url.unwrap().as_str(),
            "http://rm1:8088/ws/v1/a%2Fb?user.name=al%20ice"
        );
    }

    #[test]
    fn who_answered_last_is_asked_first() {
        let endpoints = Endpoints::new(vec![address("rm1:1"), address("rm2:1"), address("rm3:1")]).unwrap();
        endpoints.learn(&address("rm2:1"));
        let order = endpoints.in_order();
        assert_eq!(order, [address("rm2:1"), address("rm3:1"), address("rm1:1")]);
    }

    #[test]
    fn an_address_learnt_from_a_redirect_is_kept_but_not_without_end() {
        let endpoints = Endpoints::single(address("rm1:1"));
        endpoints.learn(&address("rm9:1"));
        assert_eq!(endpoints.active(), "http://rm9:1");
        for n in 0..100 {
            endpoints.learn(&address(&format!("x{n}:1")));
        }
        assert_eq!(endpoints.in_order().len(), 16);
    }
}
