//! What a person may do: the lists that the application was submitted with, as Hadoop's `ApplicationACLsManager` reads
//! them.
//!
//! Who asks is what the proxy says in its cookie. While `yarn.acl.enable` is off everybody whom the proxy lets in may
//! do everything, as in Hadoop. When it is on, the owner and the cluster's administrators (`yarn.admin.acl`) may, and
//! those on the list of the kind of access; who changes may see. A person without a name may nothing.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hadoop::conf::Configuration;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::launch::Acls;

/// How long groups are believed, as `hadoop.security.groups.cache.secs`.
const GROUPS_VALID: Duration = Duration::from_secs(300);
/// How long the system may take to name the groups of a user.
const GROUPS: Duration = Duration::from_secs(5);
/// Users whose groups are remembered.
const MOST_USERS: usize = 1000;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// See pages and answers.
    View,
    /// Change something.
    Modify,
}

/// A list of users and groups: `users`, a blank, `groups`; `*` for everybody (`AccessControlList`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessList {
    everybody: bool,
    users: Vec<String>,
    groups: Vec<String>,
}

impl AccessList {
    /// Reads a list; an absent one names nobody.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let names = |part: &str| {
            let names = part.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        let (users, groups) = text.split_once(' ').unwrap_or((text, ""));
        Self {
            everybody: text.trim() == "*",
            users: names(users),
            groups: names(groups),
        }
    }

    fn names(&self, user: &str) -> bool {
        self.everybody || self.users.iter().any(|name| name == user)
    }
}

/// Who may do what.
#[derive(Debug)]
pub struct Permissions {
    enabled: bool,
    owner: String,
    admin: AccessList,
    view: AccessList,
    modify: AccessList,
    groups: Mutex<BTreeMap<String, (Instant, Vec<String>)>>,
}

impl Permissions {
    /// Those of an application of `owner` on the cluster of this configuration.
    #[must_use]
    pub fn new(conf: &Configuration, owner: &str, acls: &Acls) -> Self {
        let list = |text: Option<&str>| AccessList::parse(text.unwrap_or_default());
        Self {
            enabled: conf.bool("yarn.acl.enable", false),
            owner: owner.to_owned(),
            // The default of Hadoop's is everybody.
            admin: AccessList::parse(conf.get("yarn.admin.acl").unwrap_or("*")),
            view: list(acls.view.as_deref()),
            modify: list(acls.modify.as_deref()),
            groups: Mutex::default(),
        }
    }

    /// Whether a user may do something; `None` is a person without a name.
    pub async fn allow(&self, user: Option<&str>, access: Access) -> bool {
        if !self.enabled {
            return true;
        }
        let Some(user) = user else { return false };
        let lists = self.lists(access);
        if user == self.owner || lists.iter().any(|list| list.names(user)) {
            return true;
        }
        if lists.iter().all(|list| list.groups.is_empty()) {
            return false;
        }
        let groups = self.groups_of(user).await;
        let named = |list: &&AccessList| list.groups.iter().any(|group| groups.contains(group));
        lists.iter().any(named)
    }

    fn lists(&self, access: Access) -> Vec<&AccessList> {
        let view = (access == Access::View).then_some(&self.view);
        [&self.admin, &self.modify].into_iter().chain(view).collect()
    }

    async fn groups_of(&self, user: &str) -> Vec<String> {
        let now = Instant::now();
        let known = self.remembered(user, now);
        if let Some(groups) = known {
            return groups;
        }
        // A failure is no answer, and the next question is asked again.
        let Ok(Some(groups)) = timeout(GROUPS, asked(user)).await else {
            tracing::warn!(user, "the groups of a user cannot be had");
            return Vec::new();
        };
        let mut all = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_USERS {
            all.clear();
        }
        all.insert(user.to_owned(), (now, groups.clone()));
        groups
    }

    fn remembered(&self, user: &str, now: Instant) -> Option<Vec<String>> {
        let all = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, groups) = all.get(user)?;
        (now - *since < GROUPS_VALID).then(|| groups.clone())
    }
}

/// The groups of a user on this node, as Hadoop's `ShellBasedUnixGroupsMapping` asks for them.
async fn asked(user: &str) -> Option<Vec<String>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(plain) {
        return Some(Vec::new());
    }
    let mut command = Command::new("id");
    command
        .args(["-Gn", user])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match command.output().await {
        Ok(output) => {
            let names = String::from_utf8_lossy(&output.stdout);
            Some(names.split_whitespace().map(str::to_owned).collect())
        }
        Err(error) => {
            tracing::warn!(%error, "the groups of a user cannot be looked up");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(enabled: &str, admin: &str) -> Permissions {
        let conf = Configuration::builder()
            .set("yarn.acl.enable", enabled, "test")
            .set("yarn.admin.acl", admin, "test")
            .build(&|_| None);
        let acls = Acls {
            view: Some("bob,eve no-such-group".into()),
            modify: Some("carol".into()),
        };
        Permissions::new(&conf, "ada", &acls)
    }

    #[tokio::test]
    async fn owner_administrators_and_those_on_the_lists_are_let_in() {
        let permissions = permissions("true", "root");
        for (user, view, modify) in [
            (Some("ada"), true, true),
            (Some("root"), true, true),
            (Some("bob"), true, false),
            (Some("carol"), true, true),
            (Some("mallory"), false, false),
            (Some("-x; rm"), false, false),
            (None, false, false),
        ] {
            assert_eq!(permissions.allow(user, Access::View).await, view, "{user:?}");
            assert_eq!(permissions.allow(user, Access::Modify).await, modify, "{user:?}");
        }
    }

    #[tokio::test]
    async fn without_lists_in_force_the_proxy_decides_alone() {
        let permissions = permissions("false", "root");
        assert!(permissions.allow(None, Access::Modify).await);
    }

    #[tokio::test]
    async fn a_group_is_that_of_the_system() {
        let conf = Configuration::builder()
            .set("yarn.acl.enable", "true", "test")
            .set("yarn.admin.acl", " root", "test")
            .build(&|_| None);
        let permissions = Permissions::new(&conf, "ada", &Acls::default());
        assert!(permissions.allow(Some("root"), Access::View).await);
        assert!(!permissions.allow(Some("nobody"), Access::View).await);
    }

    #[test]
    fn a_list_is_users_a_blank_groups() {
        assert!(AccessList::parse("*").names("x"));
        assert!(AccessList::parse(" * ").names("x"));
        assert!(!AccessList::parse("").names(""));
        assert_eq!(AccessList::parse(" ops").groups, ["ops"]);
    }
}
