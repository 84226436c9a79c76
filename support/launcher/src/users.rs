//! Users and groups by name, as the container's own /etc/passwd and /etc/group have them.
//!
//! (getpwnam(3) of our C library would do what the *host's* configuration says.)

use crate::Advise;
use crate::bounded;
use crate::rootless::lacks_ids;
use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::ResolveFlag;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Larger than this is no list of users.
const MAX_SIZE: u64 = 8 << 20;

/// What a user or a group is that is made of digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digits {
    /// The name of whoever is called so, else the number: as in Docker. An image can give the name
    /// `1000` to root.
    #[default]
    NameFirst,
    /// The number, whatever the image's lists say: as in Kubernetes.
    Number,
}

/// Who a command runs as.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: Uid,
    /// The first group.
    pub group: Gid,
    /// Other groups, as /etc/group lists them for the user.
    pub more_groups: Vec<Gid>,
    /// The home directory. Who has none, or no entry at all, has `/`, as in runc.
    pub home: String,
}

impl Identity {
    /// Looks up `USER` or `USER:GROUP` in the container that this process is in.
    ///
    /// # Errors
    /// If there is no such user or group, or the lists cannot be read.
    pub fn look_up(text: &str, digits: Digits) -> Result<Identity> {
        Identity::find(text, digits, &read("/etc/passwd")?, &read("/etc/group")?)
            .with_context(|| format!("cannot run as user {text:?}"))
    }

    /// Makes this process run as that user, with the groups.
    ///
    /// # Errors
    /// Those of setgroups(2), setgid(2) and setuid(2): without root there is no other than root.
    pub fn assume(&self) -> Result<()> {
        // Groups first: without being root one could not change them any more.
        let Identity { user, group, more_groups, .. } = self;
        let told = |result: nix::Result<()>, call: &'static str| {
            result
                .advise(|_| match (lacks_ids(), last_id()) {
                    (Some(why), _) => format!("give 0 as user, for root is alone here: {why}"),
                    (None, Some(last)) => format!("without root the ids end at {last} here"),
                    (None, None) => String::new(),
                })
                .context(call)
                .with_context(|| format!("cannot become user {user} and group {group}"))
        };
        // A user namespace with one group has setgroups(2) switched off.
        let path = "/proc/self/setgroups";
        let is_off = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => false, // no user namespaces at all
            text => text.with_context(|| format!("cannot read {path}"))?.trim() == "deny",
        };
        if !(is_off && user.is_root() && group.as_raw() == 0) {
            told(setgroups(more_groups), "setgroups")?;
        }
        told(setgid(*group), "setgid")?;
        told(setuid(*user), "setuid")?;
        // That has cleared the death signal (prctl(2)).
        set_pdeathsig(Signal::SIGKILL).context("cannot ask for a parent-death signal")
    }

    fn find(text: &str, digits: Digits, passwd: &str, group: &str) -> Result<Identity> {
        let (user, wanted_group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let with_name = entries(passwd).find(|fields| fields[0] == user);
        let with_name = with_name.filter(|_| digits.may_be_name(user));
        let as_number = number(Some(&user));
        let with_number = || entries(passwd).find(|fields| number(fields.get(2)) == as_number);
        let entry = with_name.or_else(|| as_number.and_then(|_| with_number()));
        let id = match &entry {
            Some(fields) => number(fields.get(2)).context("its entry in /etc/passwd is damaged")?,
            None => match as_number {
                Some(id) => id,
                None => {
                    bail!("the container's /etc/passwd has no such user (a number needs no entry)")
                }
            },
        };
        let of_entry = entry.as_ref().and_then(|fields| number(fields.get(3)));
        let group_id = match wanted_group {
            None => of_entry.unwrap_or(0),
            Some(wanted) => find_group(wanted, digits, group)?,
        };
        let name = entry.as_ref().map(|fields| fields[0]);
        let is_member = |fields: &Vec<&str>| {
            let mut members = fields.get(3).into_iter().flat_map(|members| members.split(','));
            name.is_some_and(|name| members.any(|member| member == name))
        };
        // With a group of one's own choice Docker gives no others.
        let more_groups = entries(group)
            .filter(|fields| wanted_group.is_none() && is_member(fields))
            .filter_map(|fields| number(fields.get(2)))
            .map(Gid::from_raw)
            .collect();
        let home = entry.as_ref().and_then(|fields| fields.get(5)).filter(|home| !home.is_empty());
        let home = home.map_or("/", |home| *home).to_owned();
        Ok(Identity { user: Uid::from_raw(id), group: Gid::from_raw(group_id), more_groups, home })
    }
}

/// The last of the users that the user namespace knows, if its map has no gaps and is not that of
/// the whole machine.
fn last_id() -> Option<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let lines = map.lines().map(|line| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next_back()?))
    });
    let end = lines.flatten().try_fold(0_u32, |end, (first, count)| {
        (first == end).then(|| end.checked_add(count)).flatten()
    });
    end?.checked_sub(1).filter(|last| *last < u32::MAX - 1)
}

/// The number of a user, as the container that this process is in has it.
///
/// # Errors
/// If there is no such user, or the lists cannot be read.
pub fn number_of_user(user: &str, digits: Digits) -> Result<Uid> {
    Identity::look_up(user, digits).map(|identity| identity.user)
}

impl Digits {
    fn may_be_name(self, text: &str) -> bool {
        self == Digits::NameFirst || number(Some(&text)).is_none()
    }
}

fn find_group(wanted: &str, digits: Digits, group: &str) -> Result<u32> {
    ensure!(!wanted.is_empty(), "its group is empty");
    let is_it = |fields: &Vec<&str>| fields[0] == wanted && digits.may_be_name(wanted);
    let mut with_name = entries(group).filter(is_it);
    let id = with_name.next().and_then(|fields| number(fields.get(2)));
    id.or_else(|| number(Some(&wanted))).with_context(|| {
        format!("the container's /etc/group has no group {wanted:?} (a number needs no entry)")
    })
}

/// The lines of a file like /etc/passwd, each cut into its fields: one at least, and not empty.
fn entries(file: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.filter(|fields| !fields[0].is_empty())
}

/// A user or group number; all ones is none: it means "no change" to the kernel.
fn number(field: Option<&&str>) -> Option<u32> {
    let field = field?;
    let is_number = field.bytes().all(|byte| byte.is_ascii_digit());
    field.parse().ok().filter(|id| is_number && *id != u32::MAX)
}

/// Reads a file of the container, where it may be anything: a FIFO, a link into /proc. One that is
/// missing is an empty one.
fn read(path: &str) -> Result<String> {
    let links = ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let content = match bounded::read_file(Path::new(path), links, MAX_SIZE) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        read => read.with_context(|| format!("cannot read the container's {path}"))?,
    };
    Ok(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                          app:x:100:101:an app:/srv/app:/bin/false\n\
                          7:x:70:71::/seven:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\napp:x:101:\naudio:x:29:pulse,app\nwheel:x:10:app\n9:x:90:\n";

    fn find(text: &str) -> Option<(u32, u32, Vec<u32>)> {
        find_as(text, Digits::NameFirst)
    }

    fn find_as(text: &str, digits: Digits) -> Option<(u32, u32, Vec<u32>)> {
        let found = Identity::find(text, digits, PASSWD, GROUP).ok()?;
        let more = found.more_groups.iter().map(|group| group.as_raw()).collect();
        Some((found.user.as_raw(), found.group.as_raw(), more))
    }

    #[test]
    fn finds_names_and_numbers_as_docker_does() {
        assert_eq!(find("root"), Some((0, 0, vec![])));
        assert_eq!(find("app"), Some((100, 101, vec![29, 10])));
        assert_eq!(find("100"), Some((100, 101, vec![29, 10])));
        assert_eq!(find("app:root"), Some((100, 0, vec![])));
        assert_eq!(find("app:5"), Some((100, 5, vec![])));
        assert_eq!(find("1234"), Some((1234, 0, vec![])));
        assert_eq!(find("1234:wheel"), Some((1234, 10, vec![])));
        assert_eq!(find("7"), Some((70, 71, vec![])), "a name goes before a number");
    }

    /// runAsUser: 7 is nobody else, and least of all root, because an image has a line for it.
    #[test]
    fn a_number_stays_a_number_in_kubernetes() {
        let find = |text| find_as(text, Digits::Number);
        assert_eq!(find("7"), Some((7, 0, vec![])));
        assert_eq!(find("100"), Some((100, 101, vec![29, 10])));
        assert_eq!(find("app:9"), Some((100, 9, vec![])));
        assert_eq!(find("app"), Some((100, 101, vec![29, 10])));
        assert_eq!(find("007"), Some((7, 0, vec![])));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in
            ["nobody", "broken", "", "-1", "+1", "4294967295", "4294967296", "app:", "app:x"]
        {
            assert_eq!(find(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_home_directory_is_that_of_the_entry() {
        let home = |text| Identity::find(text, Digits::NameFirst, PASSWD, GROUP).unwrap().home;
        assert_eq!(home("app"), "/srv/app");
        assert_eq!(home("100"), "/srv/app");
        assert_eq!(home("1234"), "/", "as in runc");
        let find = |text| Identity::find(text, Digits::NameFirst, "a:x:1:1\nb:x:2:2:::\n", GROUP);
        assert_eq!(find("a").unwrap().home, "/");
        assert_eq!(find("b").unwrap().home, "/");
        assert_eq!(find("0").unwrap().home, "/");
    }
}
