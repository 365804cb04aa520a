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
    /// Only YARN knows.
    Doubtful(Doubt),
    /// Only these are let in.
    Closed(Vec<String>),
}

/// Why the lists do not tell whether somebody is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Whoever is in one of these groups is.
    Groups(Vec<String>),
    /// Only these users are, but YARN's placement rules may choose another queue for what names none or `default`, before
    /// it looks at the lists (`CSMappingPlacementRule`).
    Placement(Vec<String>),
    /// Only these users are, but `yarn.admin.acl` is not known here, and unset it is everybody.
    Admins(Vec<String>),
}

impl Doubt {
    /// A sentence's end on whether YARN takes an application of `user` in `queue`.
    pub(crate) fn words(&self, user: &str, queue: &str) -> String {
        match self {
            Self::Groups(groups) => format!(
                "accepted in the queue {queue} if {user} is in one of the groups {}",
                groups.join(", ")
            ),
            Self::Placement(users) => format!(
                "refused unless YARN's placement rules choose another queue than {queue}, whose lists name {}, not {user}",
                shown(users)
            ),
            Self::Admins(users) => format!(
                "refused unless yarn.admin.acl, which is not set here, lets {user} in; the lists of the queue {queue} name {}",
                shown(users)
            ),
        }
    }

    /// Whether YARN would refuse, were there nothing but the lists.
    pub(crate) fn is_grave(&self) -> bool {
        !matches!(self, Self::Groups(_))
    }
}

/// Users of a list, for people.
pub(crate) fn shown(users: &[String]) -> String {
    match users {
        [] => "nobody".to_owned(),
        users => users.join(", "),
    }
}

/// Whether `user` may submit to the queue called `name` below `root`; `admins` is `yarn.admin.acl` where it is set.
pub(crate) fn right(root: &Queue, name: &str, user: &str, admins: Option<&str>) -> Right {
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
    for list in lists.into_iter().chain(admins) {
        if list.trim() == "*" {
            return Right::Open;
        }
        let (first, second) = list.split_once(' ').unwrap_or((list, ""));
        users.extend(names(first));
        groups.extend(names(second));
    }
    if users.contains(user) {
        return Right::Open;
    }
    if !groups.is_empty() {
        return Right::Doubtful(Doubt::Groups(groups.into_iter().collect()));
    }
    let users = users.into_iter().collect();
    match admins {
        _ if ["default", "root.default"].contains(&name) => Right::Doubtful(Doubt::Placement(users)),
        None => Right::Doubtful(Doubt::Admins(users)),
        Some(_) => Right::Closed(users),
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
        let of = |above: &str, own: &str, user: &str| {
            right(&queues(above, own), "root.closed", user, Some("yarn "))
        };
        assert_eq!(of(" ", "bob", "bob"), Right::Open);
        assert_eq!(of("bob", " ", "bob"), Right::Open, "a right above holds below");
        assert_eq!(of("*", " ", "ada"), Right::Open);
        assert_eq!(of(" ", "bob", "yarn"), Right::Open);
        assert_eq!(
            of(" ", "bob staff,it", "ada"),
            Right::Doubtful(Doubt::Groups(vec!["it".into(), "staff".into()]))
        );
        assert_eq!(
            of(" ", " staff", "staff"),
            Right::Doubtful(Doubt::Groups(vec!["staff".into()]))
        );
        assert_eq!(
            of(" ", "bob", "ada"),
            Right::Closed(vec!["bob".into(), "yarn".into()])
        );
    }

    #[test]
    fn a_scheduler_that_shows_no_lists_keeps_nobody_out() {
        assert_eq!(right(&Queue::default(), "default", "ada", Some("")), Right::Open);
    }

    #[test]
    fn what_yarn_may_take_in_spite_of_the_lists_is_not_refused() {
        let lists = || queues(" ", "bob");
        let bob = || vec!["bob".to_owned()];
        let unknown = right(&lists(), "root.closed", "ada", None);
        assert_eq!(
            unknown,
            Right::Doubtful(Doubt::Admins(bob())),
            "unset is everybody"
        );
        assert_eq!(
            right(&lists(), "root.closed", "ada", Some("")),
            Right::Closed(bob())
        );

        let mut lists = lists();
        lists.children[0].name = "default".to_owned();
        lists.children[0].path = Some("root.default".to_owned());
        let placed = right(&lists, "root.default", "ada", Some(""));
        assert_eq!(placed, Right::Doubtful(Doubt::Placement(bob())));
        let doubt = Doubt::Placement(bob());
        assert!(doubt.is_grave() && !Doubt::Groups(Vec::new()).is_grave());
        assert_eq!(
            doubt.words("ada", "default"),
            "refused unless YARN's placement rules choose another queue than default, whose lists name bob, not ada"
        );
    }
}
