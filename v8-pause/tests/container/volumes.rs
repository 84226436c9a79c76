//! Volumes and limits.

use std::fs;
use std::time::Duration;

use testbed::running::{children, program, within};
use testbed::{Host, Suite};

use crate::pod::{Pod, run, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("volume_mounts_may_be_given_inner_first", volume_mounts_given_inner_first)
        .both("a_host_path_can_be_read_only", a_host_path_can_be_read_only)
        .both("a_host_path_that_became_a_link_is_refused", a_host_path_that_became_a_link)
        .both("each_container_has_its_own_root", each_container_has_its_own_root)
        .both("command_args_and_env", command_args_and_env)
        .root("limits_of_container_and_pod", limits_of_container_and_pod)
        .root("the_pods_limit_is_what_its_containers_may_take", limit_of_the_pod)
        .root("out_of_memory_is_told", out_of_memory_is_told)
}

const READ_ONLY: &str = "    volumeMounts: [{name: v, mountPath: /v, readOnly: true}]\n";
const WRITABLE: &str = "    volumeMounts: [{name: v, mountPath: /v}]\n";

/// As the kubelet does it, which sorts them by depth.
fn volume_mounts_given_inner_first(host: &Host) {
    let more = "  restartPolicy: Never\n  volumes: [{name: outer}, {name: inner}]\n  \
                initContainers:\n  - name: fill\n    image: busybox\n    \
                command: [sh, -c, 'echo inner > /i/file; echo outer > /o/file']\n    \
                volumeMounts: [{name: outer, mountPath: /o}, {name: inner, mountPath: /i}]\n";
    let mounts = "    volumeMounts: [{name: inner, mountPath: /data/sub}, \
                  {name: outer, mountPath: /data}]\n";
    let spec = scripts(more, &[("a", "cat /data/file /data/sub/file")]);
    let outcome = run(host, &(spec + mounts));
    assert!(outcome.text().ends_with("a | outer\na | inner\n"), "{outcome:?}");
}

fn a_host_path_can_be_read_only(host: &Host) {
    let directory = host.dir("data");
    fs::write(directory.join("file"), "of the host\n").unwrap();
    let more = "  restartPolicy: Never\n  volumes: [{name: v, hostPath: {path: /tmp/data}}]\n";
    let spec = scripts(more, &[("a", "cat /v/file; touch /v/new")]);
    let outcome = run(host, &(spec.clone() + READ_ONLY));
    assert_eq!(outcome.code(), 1);
    assert!(outcome.stdout.ends_with(b"a | of the host\n"), "{outcome:?}");
    assert_eq!(run(host, &(spec + WRITABLE)).code(), 0);
    assert!(directory.join("new").exists());
}

/// Who may write above a volume can put a link in its place. Another container must not get what
/// the link points to, and neither must the same one, when it is started again.
fn a_host_path_that_became_a_link(host: &Host) {
    let secret = host.dir("secret");
    fs::write(secret.join("key"), "of the host\n").unwrap();
    let mounts = "volumeMounts: [{name: w, mountPath: /w}, {name: s, mountPath: /s}]";
    let link = "mv /w/sub /w/elsewhere; ln -s /tmp/secret /w/sub";
    let init = format!(
        "  initContainers:\n  - {{name: i, image: busybox, command: [sh, -c, '{link}'],\n    \
         volumeMounts: [{{name: w, mountPath: /w}}]}}\n"
    );
    let again = format!("cat /s/key; {link}; exit 1");
    for (init, policy, script) in
        [(init.as_str(), "Never", "cat /s/key"), ("", "OnFailure", again.as_str())]
    {
        let sub = host.dir("w").join("sub");
        fs::create_dir_all(&sub).unwrap();
        host.give(&sub);
        let more = format!(
            "  restartPolicy: {policy}\n  volumes:\n  - {{name: w, hostPath: {{path: /tmp/w}}}}\n  \
             - {{name: s, hostPath: {{path: /tmp/w/sub}}}}\n{init}"
        );
        let outcome = run(host, &format!("{}    {mounts}\n", scripts(&more, &[("a", script)])));
        let text = String::from_utf8_lossy(&outcome.stdout);
        assert!(!text.contains("of the host"), "{outcome:?}");
        assert!(outcome.code() != 0, "{outcome:?}");
        for part in ["/tmp/w/sub", "ELOOP", "symbolic link"] {
            assert!(outcome.stderr.contains(part), "{outcome:?}");
        }
        fs::remove_dir_all("/tmp/w").unwrap();
    }
}

fn each_container_has_its_own_root(host: &Host) {
    let script = "touch /own-$$; echo ready; sleep 1000";
    let mut pod = Pod::start_ready(host, &scripts("", &[("a", script), ("b", script)]), 2);
    pod.sh("touch /of-a");
    assert_eq!(pod.sh_in("b", "ls -d /of-* 2>/dev/null; true"), "");
    pod.stop();
    assert!(!host.rootfs().join("of-a").exists());
}

fn command_args_and_env(host: &Host) {
    let spec = "  restartPolicy: Never\n  containers:\n  - name: a\n    \
                image: docker.io/library/busybox:latest\n    \
                command: [echo, $(A), $$(A)]\n    args: [$(B), '$(A)$(B)', $C]\n    \
                env: [{name: A, value: one}, {name: B, value: '<$(A)>'}]\n    workingDir: /w/d\n";
    assert!(run(host, spec).text().ends_with("a | one $(A) <one> one<one> $C\n"));
    let spec = spec.replace("[echo, $(A), $$(A)]", "[pwd]").replace("args:", "args: [] #");
    assert!(run(host, &spec).text().ends_with("a | /w/d\n"));
}

/// The limit in a file of v1 or v2, in the cgroup of a process and the one above it.
fn limits(pid: u32, controller: &str, v1: &str, v2: &str) -> [String; 2] {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = |name: &str| {
        text.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            names.split(',').any(|it| it == name).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let own = match line(controller) {
        Some(path) => format!("/sys/fs/cgroup/{controller}/{path}/"),
        None => format!("/sys/fs/cgroup/{}/", line("").unwrap()),
    };
    let file = if line(controller).is_some() { v1 } else { v2 };
    ["", "../"].map(|up| fs::read_to_string(format!("{own}{up}{file}")).unwrap().trim().to_owned())
}

fn limits_of_container_and_pod(host: &Host) {
    let limit = |memory| format!("    resources: {{limits: {{memory: {memory}, cpu: 250m}}}}\n");
    let sleep = "echo ready; exec sleep 1000";
    let spec = scripts("", &[("a", sleep)]) + &limit("32Mi");
    let second = scripts("", &[("b", sleep)]);
    let second = second.split_once("containers:\n").unwrap().1;
    let mut pod = Pod::start_ready(host, &(spec + second + &limit("16Mi")), 2);
    let sleeping = || -> Vec<u32> {
        children(pod.running.pid())
            .into_iter()
            .flat_map(children)
            .filter(|pid| program(*pid) == "sleep")
            .collect()
    };
    within(Duration::from_secs(10), "both sleep", || sleeping().len() == 2);
    let containers = sleeping();
    let memory = containers
        .iter()
        .map(|pid| limits(*pid, "memory", "memory.limit_in_bytes", "memory.max"))
        .collect::<Vec<_>>();
    let mib = |count: u64| (count << 20).to_string();
    assert_eq!(memory, [[mib(32), mib(48)], [mib(16), mib(48)]]);
    let [_, of_pod] = limits(pod.pause, "memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(of_pod, mib(48), "pause is the pod's too");
    let cpu = limits(containers[0], "cpu", "cpu.cfs_quota_us", "cpu.max");
    let expected = ["25000", "50000"];
    assert!(cpu.iter().zip(expected).all(|(cpu, it)| cpu.split(' ').next() == Some(it)), "{cpu:?}");
    pod.stop();
}

/// Init containers run alone, one after the other: each needs its own limit, and no more. One
/// container without a limit may take what there is, and so may the pod.
fn limit_of_the_pod(host: &Host) {
    const NONE: &str = "none";
    let of = |limits: &str| match limits {
        NONE => String::new(),
        limits => format!(", resources: {{limits: {{{limits}}}}}"),
    };
    for (init, first, second, memory, cpu) in [
        ("memory: 100Mi, cpu: 100m", "memory: 16Mi, cpu: 250m", "memory: 16Mi, cpu: 250m", 100, 50),
        ("memory: 20Mi, cpu: 800m", "memory: 16Mi, cpu: 250m", "memory: 16Mi, cpu: 250m", 32, 80),
        ("memory: 20Mi", "memory: 16Mi, cpu: 250m", "memory: 16Mi, cpu: 250m", 32, 0),
        ("memory: 20Mi, cpu: 100m", "memory: 16Mi", NONE, 0, 0),
    ] {
        let container = |name: &str, limits: &str, script: &str| {
            let limits = of(limits);
            format!("  - {{name: {name}, image: busybox, command: [sh, -c, {script}]{limits}}}\n")
        };
        let sleep = "echo ready; exec sleep 1000";
        let spec = format!(
            "  terminationGracePeriodSeconds: 0\n  initContainers:\n{}  containers:\n{}{}",
            container("i", init, "exit 0"),
            container("a", first, sleep),
            container("b", second, sleep)
        );
        let mut pod = Pod::start_ready(host, &spec, 2);
        let of_pod = |controller: &str, v1: &str, v2: &str| {
            let [_, of_pod] = limits(pod.pause, controller, v1, v2);
            of_pod.split(' ').next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0)
        };
        let found = of_pod("memory", "memory.limit_in_bytes", "memory.max") >> 20;
        let no_limit = found > 1 << 40; // v1 has no word for it
        assert_eq!(if no_limit { 0 } else { found }, memory, "{init} {first} {second}");
        let found = of_pod("cpu", "cpu.cfs_quota_us", "cpu.max") / 1000;
        assert_eq!(found, cpu, "{init} {first} {second}");
        pod.stop();
    }
}

fn out_of_memory_is_told(host: &Host) {
    let eat = "x=x; while true; do x=$x$x; done";
    let spec = scripts("  restartPolicy: Never\n", &[("eater", eat)])
        + "    resources: {limits: {memory: 16Mi}}\n";
    let outcome = run(host, &spec);
    assert_eq!(outcome.code(), 137, "{outcome:?}");
    assert!(outcome.stderr.contains("eater: killed: out of memory (limit 16 MiB"), "{outcome:?}");
}
