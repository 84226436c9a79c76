//! `cargo workshop attacks`: what the book says of the attacks is what came of them, and a step
//! whose defence is taken away is seen.
//!
//! `BLESS=1 cargo test -p attacks --test attacks` (as root) rewrites the parts of the book that
//! are made from the table.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, with the line that did it"
)]

#[path = "../../tests/stages/mod.rs"]
mod stages;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use testbed::elsewhere::{Rule, When, install_filter};
use testbed::{BIN, Host, Outcome, Suite};

/// Where a host sees the checkout, writable, so that the book can be rewritten.
const CHECKOUT: &str = "/run/testbed/checkout";

/// An attack, the step that stops it, and another step in its place, which lacks that defence.
const DEFENCES: [(&str, &str, &str); 8] = [
    ("walk-out", "v2-mountns", "v1-chroot"),
    ("shared-file", "v2-mountns", "v1-chroot"),
    ("kill-process", "v3-pidns", "v2-mountns"),
    ("see-process", "v3-pidns", "v2-mountns"),
    ("change-launcher", "v3-pidns", "v2-mountns"),
    ("rename-host", "v4-utsns", "v3-pidns"),
    ("reach-loopback", "v5-netns", "v4-utsns"),
    ("spoil-files", "v7-overlay", "v6-cgroups"),
];

type Calls = &'static [(libc::c_long, When)];

/// An attack that no step stops, for root or for anybody: what it is told, and the system calls
/// without which it must fail. The name of a key is one that nobody has: that the attack finds one
/// is seen in its row, on the host.
const CALLS: [(&str, &[&str], Calls); 9] = [
    ("session-keyring", &["attacks"], &[(libc::SYS_keyctl, When::Always)]),
    ("bpf", &[], &[(libc::SYS_bpf, When::Always)]),
    ("kernel-log", &[], &[(libc::SYS_syslog, When::Always)]),
    ("set-clock", &[], &[(libc::SYS_clock_adjtime, When::Always)]),
    ("io_uring", &[], &[(libc::SYS_io_uring_setup, When::Always)]),
    ("vsock", &[], &[(libc::SYS_socket, When::Is(0, libc::AF_VSOCK as u32))]),
    ("mount-kernel-filesystems", &[], &[(libc::SYS_mount, When::Always)]),
    ("namespace-handle", &["/", "241", "0"], &[(libc::SYS_open_by_handle_at, When::Always)]),
    (
        "nested-user-namespace",
        &[],
        &[
            (libc::SYS_unshare, When::HasBits(0, libc::CLONE_NEWUSER as u32)),
            (libc::SYS_clone3, When::Always),
        ],
    ),
];

fn main() -> ExitCode {
    stages::build();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the checkout");
    let problem = if is_asked_for(BOOK_CHECK) { book_check(checkout) } else { None };
    let mut suite = Suite::of_no_stage()
        .own_cgroups()
        .expose(checkout, CHECKOUT)
        .time_limit(Duration::from_secs(300))
        .user("a_user_can_do_what_the_book_says", a_user_can_do_what_the_book_says)
        .root("a_broken_claim_is_told", a_broken_claim_is_told)
        .root("what_succeeds_nowhere_proves_nothing", what_succeeds_nowhere_proves_nothing)
        .user("what_takes_root_is_noted", what_takes_root_is_noted)
        .root("what_the_kernel_lacks_is_noted", what_the_kernel_lacks_is_noted)
        .both("its_own_program_stays_in_place", its_own_program_stays_in_place)
        .user("a_mark_that_is_no_errno_is_explained", a_mark_is_explained)
        .both("a_reader_may_have_enough", a_reader_may_have_enough)
        .both("an_attack_that_is_none_is_refused", an_attack_that_is_none_is_refused);
    for (attack, told, calls) in CALLS {
        let name = format!("the_attacker_says_that_it_is_refused/{attack}");
        suite = suite.root(name, move |_| it_says_that_it_is_refused(attack, told, calls));
    }
    for (attack, step, impostor) in DEFENCES {
        let name = format!("without_its_defence/{attack}-in-{step}");
        suite = suite.root(name, move |host| it_leaks_without(host, attack, step, impostor));
    }
    let conclusion = suite.run();
    if let Some(problem) = problem {
        println!("{BOOK_CHECK}: {problem}");
        return ExitCode::from(101);
    }
    conclusion
}

/// The check that is no trial. To make a hierarchy of cgroup v1, which is one of the attacks, one
/// has to be in the first cgroup namespace; and a throw-away host of ours is not.
const BOOK_CHECK: &str = "the_book_says_what_came_of_the_attacks";

/// Whether this is the first process, and its command line asks for all tests or for this one.
fn is_asked_for(name: &str) -> bool {
    let mut arguments = env::args().skip(1);
    let is_trial = env::args().any(|it| it.starts_with("--in-") || it == "--list");
    let is_named = !arguments.any(|it| !it.starts_with('-') && !name.contains(&it));
    !is_trial && is_named
}

/// Carries out all attacks, as root and without root, and compares with the book.
fn book_check(checkout: &Path) -> Option<String> {
    let nft = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"];
    if !nix::unistd::geteuid().is_root() || !nft.iter().any(|path| Path::new(path).exists()) {
        println!("skipped: {BOOK_CHECK}: needs root, and nft");
        return None;
    }
    let exe = env::current_exe().expect("this program's path");
    let programs = exe.ancestors().nth(2).expect("the directory of the programs");
    // Without cargo: everything is built.
    let mut attacks = Command::new(programs.join("attacks"));
    let outcome = Outcome::of(attacks.arg("--book").env_remove("CARGO"));
    let text = String::from_utf8_lossy(&outcome.stdout);
    let fresh = parts(&text);
    if outcome.code() != 0 || fresh.len() != 11 {
        return Some(format!("status {}: {}{text}", outcome.code(), outcome.stderr));
    }
    let problems = compare(&checkout.join("book/src"), &fresh);
    println!("{BOOK_CHECK}: {} parts of the book compared", fresh.len());
    (!problems.is_empty()).then_some(problems)
}

/// What of the book's pages differs. `BLESS` in the environment mends it.
fn compare(book: &Path, fresh: &BTreeMap<String, String>) -> String {
    let pages = fs::read_dir(book).expect("list the book");
    let pages: Vec<PathBuf> = pages.map(|entry| entry.unwrap().path()).collect();
    let is_blessed = env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut problems = String::new();
    for (name, part) in fresh {
        let mark = format!("<!-- attacks {name} -->\n");
        let read = |page: &PathBuf| fs::read_to_string(page).unwrap_or_default();
        let Some(page) = pages.iter().find(|page| read(page).contains(&mark)) else {
            problems += &format!("no page has {mark}");
            continue;
        };
        let old = read(page);
        let told = &parts(&old)[name];
        if told != part && is_blessed {
            let new = old.replace(&format!("{mark}{told}"), &format!("{mark}{part}"));
            fs::write(page, new).expect("rewrite a page");
        } else if told != part {
            let place = page.display();
            problems += &format!("{place} says of {name}:\n{told}\nwhat came is:\n{part}\n");
        }
    }
    problems
}

fn attacks(host: &Host, arguments: &[&str]) -> Command {
    if host.is_root() {
        host.need_nft();
    }
    let mut attacks = host.command(Path::new(BIN).join("attacks"));
    attacks.args(arguments);
    attacks
}

/// What stands between `<!-- attacks NAME -->` and `<!-- end -->`, by the name.
fn parts(text: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<!-- attacks ") {
        let (name, after) = after.split_once(" -->\n").expect("the name ends");
        let (part, after) = after.split_once("<!-- end -->").expect("the part ends");
        parts.insert(name.to_owned(), part.to_owned());
        rest = after;
    }
    parts
}

/// The same from the other side: an ordinary user runs the tool, whose host is in a user namespace.
fn a_user_can_do_what_the_book_says(host: &Host) {
    let outcome = Outcome::of(&mut attacks(host, &["--book"]));
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.code() == 0, "{}{text}", outcome.stderr);
    let fresh = parts(&text);
    assert_eq!(fresh.keys().collect::<Vec<_>>(), ["without-root"]);
    let problems = compare(&Path::new(CHECKOUT).join("book/src"), &fresh);
    assert!(problems.is_empty(), "{problems}");
}

/// This program and the steps in a directory of their own, with `impostor` in place of `step`.
fn programs_with(host: &Host, step: &str, impostor: &str) -> PathBuf {
    let directory = host.dir("programs");
    let bin = Path::new(BIN);
    fs::copy(bin.join("attacks"), directory.join("attacks")).expect("copy the attacker");
    for entry in fs::read_dir(bin).expect("list the programs") {
        let name = entry.unwrap().file_name().into_string().unwrap_or_default();
        if name.starts_with('v') && !name.contains('.') {
            let target = if name == step { impostor } else { &name };
            symlink(bin.join(target), directory.join(&name)).expect("make a link");
        }
    }
    directory.join("attacks")
}

fn it_leaks_without(host: &Host, attack: &str, step: &str, impostor: &str) {
    host.need_nft();
    let number: usize = step[1..2].parse().expect("a step's name begins with its number");
    let mut right = attacks(host, &["--row", "root", attack]);
    let right = Outcome::of(&mut right);
    let cells: Vec<_> = right.text().lines().collect();
    assert_ne!(cells[number], "leaks", "{cells:?}");
    let mut wrong = host.command(programs_with(host, step, impostor));
    let wrong = Outcome::of(wrong.args(["--row", "root", attack]));
    let cells_of_wrong: Vec<_> = wrong.text().lines().collect();
    assert_eq!(cells_of_wrong[number], "leaks", "{cells_of_wrong:?}");
    for other in (0..9).filter(|other| *other != number) {
        assert_eq!(cells_of_wrong[other], cells[other], "{cells:?} {cells_of_wrong:?}");
    }
}

fn a_broken_claim_is_told(host: &Host) {
    host.need_nft();
    let mut wrong = host.command(programs_with(host, "v3-pidns", "v2-mountns"));
    let outcome = Outcome::of(wrong.arg("kill-process"));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    let complaints = outcome.complaints();
    let expected = |who| {
        format!("Error: kill-process is stopped in v3-pidns {who}, says workshop/attacks/src/list")
    };
    assert_eq!(complaints.len(), 2, "{outcome:?}");
    assert!(complaints[0].starts_with(&expected("as root")), "{outcome:?}");
    assert!(complaints[1].starts_with(&expected("without root")), "{outcome:?}");
}

fn what_succeeds_nowhere_proves_nothing(host: &Host) {
    let rule = Rule { call: libc::SYS_process_vm_readv, when: When::Always, errno: libc::ENOSYS };
    install_filter(&[rule]).expect("install a filter");
    let outcome = Outcome::of(&mut attacks(host, &["read-memory"]));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    let complaint = "Error: read-memory proves nothing: it has not even succeeded on the host";
    assert!(outcome.complaints().contains(&complaint), "{outcome:?}");
}

/// In place of a kernel without io_uring.
fn what_the_kernel_lacks_is_noted(host: &Host) {
    let call = libc::SYS_io_uring_setup;
    install_filter(&[Rule { call, when: When::Always, errno: libc::ENOSYS }]).expect("a filter");
    let outcome = Outcome::of(&mut attacks(host, &["io_uring", "walk-out"]));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let note = "Note: io_uring proves nothing here: this kernel does not have io_uring";
    assert!(outcome.stderr.starts_with(note), "{outcome:?}");
    // Another errno says something else.
    install_filter(&[Rule { call, when: When::Always, errno: libc::ENOMEM }]).expect("a filter");
    let outcome = Outcome::of(&mut attacks(host, &["io_uring"]));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
}

/// On the host, where all of these get further.
fn it_says_that_it_is_refused(attack: &str, told: &[&str], calls: Calls) {
    let attacker = || {
        let mut attacker = Command::new(Path::new(BIN).join("attacks"));
        Outcome::of(attacker.args(["attacker", attack]).args(told)).text().trim_end().to_owned()
    };
    // In place of clone3(2), libraries know another call only if it is this errno.
    let refused = "attack-answer: errno ENOSYS";
    let before = attacker();
    assert!(before != refused && before.starts_with("attack-answer: "), "{before}");
    for (call, when) in calls {
        // If one of several calls is left, it has to be tried.
        assert_ne!(attacker(), refused);
        let rule = Rule { call: *call, when: *when, errno: libc::ENOSYS };
        install_filter(&[rule]).expect("install a filter");
    }
    assert_eq!(attacker(), refused);
}

fn what_takes_root_is_noted(host: &Host) {
    let outcome = Outcome::of(&mut attacks(host, &["rename-host", "walk-out"]));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let note = "Note: rename-host proves nothing here: it takes root on the host, too\n";
    assert_eq!(outcome.stderr, note, "{outcome:?}");
}

/// Cargo is asked for the steps, and not for the program that is running: built with the features
/// of others it would be another one.
fn its_own_program_stays_in_place(host: &Host) {
    let checkout = host.dir("course");
    fs::create_dir_all(checkout.join("v1-chroot/src")).unwrap();
    fs::write(checkout.join("Cargo.toml"), "").unwrap();
    let cargo = checkout.join("cargo");
    fs::write(&cargo, "#!/bin/sh\necho $* >&2\nexit 1\n").unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let mut attacks = host.command(Path::new(BIN).join("attacks"));
    let outcome = Outcome::of(attacks.current_dir(&checkout).env("CARGO", cargo));
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.ends_with("Error: the steps do not build\n"), "{outcome:?}");
    let asked = outcome.stderr.lines().next().unwrap();
    assert!(asked.starts_with("build --quiet --package=v1-chroot "), "{asked}");
    assert!(asked.ends_with(" --package=v8-pause"), "{asked}");
}

fn a_mark_is_explained(host: &Host) {
    let explains = |attack: &str, mark: &str| {
        let outcome = Outcome::of(&mut attacks(host, &[attack]));
        let text = String::from_utf8_lossy(&outcome.stdout);
        text.lines().any(|line| line.starts_with(mark))
    };
    assert!(explains("rename-host", "own: ") && !explains("rename-host", "refused: "));
    assert!(explains("command-link", "refused: ") && !explains("command-link", "own: "));
}

fn a_reader_may_have_enough(host: &Host) {
    Outcome::assert_ends_unread(|| attacks(host, &["rename-host"]));
    Outcome::assert_ends_unread(|| attacks(host, &["--help"]));
}

fn an_attack_that_is_none_is_refused(host: &Host) {
    Outcome::of(&mut attacks(host, &["tickle"]))
        .assert_refused(1, &["there is no attack \"tickle\"", "walk-out"]);
    Outcome::of(&mut attacks(host, &["walkout"]))
        .assert_refused(1, &["no attack \"walkout\" (do you mean walk-out?)"]);
}
