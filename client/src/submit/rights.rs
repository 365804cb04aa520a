//! Whether somebody may submit to a queue, from the lists that the Capacity Scheduler shows of its queues.
//!
//! Pure. Who is in a list of users is known here; who is in a group only the ResourceManager knows, by a mapping of its
//! own. A right in a queue holds in those below it (`CSQueue.hasAccess`), and whoever administers a queue or the
//! cluster may submit, too.

use std::collections::BTreeSet;

use yarn_rest::model::Queue;

/// What the lists say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Right {
    /// They do not keep this person out.
    Open,
    /// This person is in if in one of the groups.
    Groups(Vec<String>),
    /// Only these are let in.
    Closed(Vec<String>),
}

/// Whether `user` may submit to the queue called `name` below `root`; `admins` is `yarn.admin.acl`.
pub(crate) fn right(root: &Queue, name: &str, user: &str, admins: &str) -> Right {
    let way = root.way_to(name);
    let lists: Vec<&str> = way
        .iter()
        .flat_map(|queue| &queue.acls)
        .filter(|acl| matches!(acl.access_type.as_str(), "SUBMIT_APP" | "ADMINISTER_QUEUE"))
        .map(|acl| acl.access_control_list.as_str())
        .collect();
    if lists.is_empty() {
        return Right::Open;
    }
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for list in lists.into_iter().chain([admins]) {
        if list.trim() == "*" {
            return Right::Open;
        }
        let (first, second) = list.split_once(' ').unwrap_or((list, ""));
        users.extend(names(first));
        groups.extend(names(second));
    }
    if users.contains(user) {
        Right::Open
    } else if groups.is_empty() {
        Right::Closed(users.into_iter().collect())
    } else {
        Right::Groups(groups.into_iter().collect())
    }
}

fn names(list: &str) -> impl Iterator<Item = String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Hadoop 3.4.3 shows them: `root` with the list, and `root.closed` below it with another.
    fn queues(above: &str, own: &str) -> Queue {
        let acls = |list: &str| {
            serde_json::json!({ "queueAcl": [
                { "accessType": "ADMINISTER_QUEUE", "accessControlList": " " },
                { "accessType": "APPLICATION_MAX_PRIORITY", "accessControlList": "*" },
                { "accessType": "SUBMIT_APP", "accessControlList": list },
            ]})
        };
        let below =
            serde_json::json!({ "queueName": "closed", "queuePath": "root.closed", "queueAcls": acls(own) });
        let root = serde_json::json!({
            "queueName": "root", "queuePath": "root", "queueAcls": acls(above), "queues": { "queue": [below] },
        });
        serde_json::from_value(root).unwrap()
    }

    #[test]
    fn who_is_in_no_list_is_kept_out_unless_a_group_may_let_them_in() {
        let of =
            |above: &str, own: &str, user: &str| right(&queues(above, own), "root.closed", user, "yarn ");
        assert_eq!(of(" ", "bob", "bob"), Right::Open);
        assert_eq!(of("bob", " ", "bob"), Right::Open, "a right above holds below");
        assert_eq!(of("*", " ", "ada"), Right::Open);
        assert_eq!(of(" ", "bob", "yarn"), Right::Open);
        assert_eq!(
            of(" ", "bob staff,it", "ada"),
            Right::Groups(vec!["it".into(), "staff".into()])
        );
        assert_eq!(of(" ", " staff", "staff"), Right::Groups(vec!["staff".into()]));
        assert_eq!(
            of(" ", "bob", "ada"),
            Right::Closed(vec!["bob".into(), "yarn".into()])
        );
    }

    #[test]
    fn a_scheduler_that_shows_no_lists_keeps_nobody_out() {
        assert_eq!(right(&Queue::default(), "default", "ada", ""), Right::Open);
    }
}
