//! Two hundred containers, started and ended in an order that nobody planned.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use testbed::pace::slowed;
use testbed::running::{
    children, children_of_supervisor, descendants, send, status_line, wait_for_end_of_links,
};
use testbed::{Host, Suite};

/// How many in all, and how many at least at once. A slow machine gets fewer.
fn numbers() -> (usize, usize) {
    let is_slow = slowed(Duration::from_secs(1)) > Duration::from_secs(1);
    if is_slow { (20, 10) } else { (200, 100) }
}

pub fn add(suite: Suite) -> Suite {
    suite.root("two_hundred_containers_leave_nothing", two_hundred_containers_leave_nothing).long()
}

/// A container that has told its address.
struct Member {
    supervisor: Child,
    address: String,
}

fn two_hundred_containers_leave_nothing(host: &Host) {
    if Command::new("nft").arg("-V").output().is_err() {
        host.skip("there is no `nft` here");
    }
    host.warm_up();
    let (all, at_once) = numbers();
    let mut random = Random::new();
    let mut alive = Vec::new();
    let (mut started, mut most) = (0, 0);
    while started < all || !alive.is_empty() {
        // More are started than ended, up to the last one.
        let grows = started < all && (alive.len() < at_once || random.below(3) > 0);
        if grows {
            let count = (1 + random.below(8)).min(all - started);
            alive.extend(start(host, count));
            started += count;
            most = most.max(alive.len());
            assert_unique(&alive);
        } else {
            let index = random.below(alive.len());
            end(alive.swap_remove(index), random.below(3));
        }
    }
    assert!(most >= at_once, "at most {most} at once");
    // What was killed leaves to the next start what the last one of the others could not see.
    wait_for_end_of_links();
    host.run(["--net", "none", "true"]).text();
}

/// Starts some at the same moment, and waits until each has told its address.
fn start(host: &Host, count: usize) -> Vec<Member> {
    let script = "ip -o -4 address show dev eth0; exec sleep 1000";
    let supervisors: Vec<_> = (0..count)
        .map(|_| {
            let mut launcher = host.launcher();
            launcher.args(["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let told = |mut supervisor: Child| {
        let mut line = String::new();
        let stdout = supervisor.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.split_whitespace().skip_while(|word| *word != "inet").nth(1);
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Member { supervisor, address }
    };
    supervisors.into_iter().map(told).collect()
}

fn assert_unique(alive: &[Member]) {
    let addresses: BTreeSet<_> = alive.iter().map(|member| &member.address).collect();
    assert_eq!(addresses.len(), alive.len());
    // The links of those that were killed may still be about to go.
    let names: BTreeSet<_> = container_links().into_iter().collect();
    for address in addresses {
        let host_part = address.split(['.', '/']).nth(3).unwrap();
        assert!(names.contains(&format!("steps{host_part}")), "{address}: {names:?}");
    }
    assert!(names.iter().all(|name| name.len() <= 15), "{names:?}");
}

/// The links of the host that lead into a container.
fn container_links() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names = table.lines().filter_map(|line| line.split_once(':'));
    let names = names.map(|(name, _)| name.trim().to_owned());
    names.filter(|name| name.starts_with("steps") && name != "steps0").collect()
}

/// Ends a container in one of three ways.
fn end(mut member: Member, way: usize) {
    let supervisor = member.supervisor.id();
    let victim = match way {
        0 => Some(supervisor),
        // PID 1. (The last one may be `ip`, which has printed but not ended yet.)
        1 => {
            children_of_supervisor(supervisor).first().and_then(|it| children(*it).first().copied())
        }
        // The process in between: the supervisor sees its child die.
        _ => children_of_supervisor(supervisor).first().copied(),
    };
    send(victim.unwrap_or_else(|| panic!("{supervisor} has no child")), libc::SIGKILL);
    let start = Instant::now();
    while member.supervisor.try_wait().unwrap().is_none() {
        let left = descendants(supervisor);
        let limit = slowed(Duration::from_secs(20));
        assert!(start.elapsed() < limit, "way {way}: {supervisor} goes on, {}", states(&left));
        sleep(Duration::from_millis(1));
    }
}

/// What each of these processes is doing, and which signals it has not been given yet.
fn states(pids: &[u32]) -> String {
    let of = |pid: &u32| {
        let of = |name| status_line(*pid, name).replace('\t', " ");
        let (pending, blocked) = (of("ShdPnd"), of("SigBlk"));
        let doing = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        format!("{pid}: {} {doing}, pending {pending}, blocked {blocked}", of("State"))
    };
    pids.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// Numbers that are different each time. The first one is printed, for whoever has to repeat it.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = u64::from(now.subsec_nanos()) | 1;
        println!("random numbers begin with {seed}");
        Random(seed)
    }

    /// A number below `limit` (Marsaglia's xorshift).
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}
