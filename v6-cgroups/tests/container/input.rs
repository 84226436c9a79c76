//! What the options take, and what is said to the rest.

use testbed::{Host, Suite};

pub fn add(suite: Suite) -> Suite {
    suite.both("bad_limits_are_refused", bad_limits_are_refused)
}

fn bad_limits_are_refused(host: &Host) {
    let no_limit = "in Docker that is no limit; here, leave the option out";
    for (option, value, fault) in [
        ("--memory", "0", no_limit),
        ("--memory", "-1", no_limit),
        ("--memory", "1", "6m is the least"),
        ("--memory", "12x", "\"x\" is no unit: it is k, m or g"),
        ("--memory", "m", "not a number"),
        ("--memory", "", "not a number"),
        ("--cpus", "0", no_limit),
        ("--cpus", "-1", no_limit),
        ("--cpus", "1e9", "it is not between 0.01 and "),
        ("--cpus", "nan", "it is not between 0.01 and "),
        ("--cpus", "0.001", "it is not between 0.01 and "),
        ("--cpus", "two", "not a number"),
        ("--cpuset-cpus", "", "not the number of a CPU"),
        ("--cpuset-cpus", "two", "not the number of a CPU"),
        ("--cpuset-cpus", "1-0", "ends before it begins"),
        ("--memory-swap", "0", "leave the option out"),
        ("--memory-swap", "-2", "not a number"),
        ("--pids-limit", "0", no_limit),
        ("--pids-limit", "-1", no_limit),
        ("--pids-limit", "1.5", "not a number"),
    ] {
        let named = format!("'{option} <");
        host.run([option, value, "true"]).assert_refused(125, &[&named, fault]);
    }
    // Of what is it the sum?
    host.run(["--memory-swap", "1g", "true"]).assert_refused(125, &["--memory <"]);
}
