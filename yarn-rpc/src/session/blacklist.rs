//! Names on which nothing shall be granted, and what the ResourceManager has not heard of them.

use crate::proto::yarn::ResourceBlacklistRequestProto;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Blacklist {
    names: BTreeSet<String>,
    add: BTreeSet<String>,
    remove: BTreeSet<String>,
}

impl Blacklist {
    /// Says whether anything changed. What is not known here may still be on the list of the ResourceManager, which an
    /// attempt inherits.
    pub(super) fn change(&mut self, add: Vec<String>, remove: Vec<String>) -> bool {
        let before = (self.add.len(), self.remove.len());
        for name in add {
            self.remove.remove(&name);
            if self.names.insert(name.clone()) {
                self.add.insert(name);
            }
        }
        for name in remove {
            self.add.remove(&name);
            self.names.remove(&name);
            self.remove.insert(name);
        }
        before != (self.add.len(), self.remove.len())
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.add.is_empty() || !self.remove.is_empty()
    }

    /// The changes to send, if any.
    pub(super) fn take(&mut self) -> Option<ResourceBlacklistRequestProto> {
        self.has_changes().then(|| ResourceBlacklistRequestProto {
            blacklist_additions: std::mem::take(&mut self.add).into_iter().collect(),
            blacklist_removals: std::mem::take(&mut self.remove).into_iter().collect(),
        })
    }

    /// Changes that were taken and not heard, unless they have been undone since.
    pub(super) fn put_back(&mut self, request: ResourceBlacklistRequestProto) {
        let names = &self.names;
        self.add.extend(
            request
                .blacklist_additions
                .into_iter()
                .filter(|name| names.contains(name)),
        );
        self.remove.extend(
            request
                .blacklist_removals
                .into_iter()
                .filter(|name| !names.contains(name)),
        );
    }

    /// Additions that were refused.
    pub(super) fn forget(&mut self, names: &[String]) {
        names.iter().for_each(|name| {
            self.names.remove(name);
        });
    }

    /// The ResourceManager has forgotten everything.
    pub(super) fn resync(&mut self) {
        self.add.clone_from(&self.names);
        self.remove.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_attempt_has_added_can_be_taken_off() {
        let mut blacklist = Blacklist::default();
        assert!(blacklist.change(Vec::new(), vec!["a".to_owned()]));
        let request = blacklist.take().expect("a change");
        assert_eq!(request.blacklist_removals, ["a"]);
        blacklist.put_back(request);
        assert!(blacklist.change(vec!["a".to_owned()], Vec::new()));
        let request = blacklist.take().expect("a change");
        assert_eq!(
            (request.blacklist_additions, request.blacklist_removals.len()),
            (vec!["a".to_owned()], 0)
        );
    }
}
