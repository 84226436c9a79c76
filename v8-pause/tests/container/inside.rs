//! What an image, a manifest or a container can name leads nowhere but into the container.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testbed::contract::inside::Outside;
use testbed::faults::descriptors;
use testbed::{Host, Outcome, Suite};

use crate::pod::{Pod, launcher, run, scripts};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("no_descriptor_leads_out_of_a_pod", no_descriptor_leads_out_of_a_pod)
        .both("no_descriptor_leads_out_of_exec", no_descriptor_leads_out_of_exec)
        .both("no_working_directory_leads_out", no_working_directory_leads_out)
        .long()
        .root("a_number_is_no_name", a_number_is_no_name)
        .user("a_number_is_no_name_with_a_range", Host::with_subordinate_ids(a_number_is_no_name))
        .both("the_null_device_is_the_containers", the_null_device_is_the_containers)
}

const SLEEP: &str = "echo ready; exec sleep 1000";

fn spec(more: &str) -> String {
    let ends = "  restartPolicy: Never\n  terminationGracePeriodSeconds: 1\n";
    format!("{ends}  containers:\n  - name: a\n    image: busybox\n{more}")
}

fn no_descriptor_leads_out_of_a_pod(host: &Host) {
    let outside = Outside::make(host);
    for more in ["", "  shareProcessNamespace: true\n"] {
        let spec = more.to_owned()
            + &spec(
                "    workingDir: /made/for/it\n    command: [sh, -c, exit 7]\n    \
                 securityContext: {runAsUser: 0}\n    \
                 volumeMounts: [{name: v, mountPath: /mnt/volume}]\n  \
                 volumes: [{name: v, emptyDir: {}}]\n",
            );
        let (seen, outcome) = descriptors::look(host, outside.leak(&mut launcher(host, &spec)));
        assert_eq!(outcome.code(), 7, "{outcome:?}");
        assert!(seen.open.len() > 10 && seen.look_ups > 0, "{:?} {}", seen.open, seen.look_ups);
        let ways_out: Vec<_> = seen.ways_out.into_iter().collect();
        assert!(ways_out.is_empty(), "{}", ways_out.join("\n"));
    }
}

fn no_descriptor_leads_out_of_exec(host: &Host) {
    let outside = Outside::make(host);
    for more in ["", "  shareProcessNamespace: true\n"] {
        let mut pod = Pod::start_ready(host, &scripts(more, &[("a", SLEEP)]), 1);
        let mut exec = pod.exec_command(&["--", "sh", "-c", "exit 7"]);
        let (seen, outcome) = descriptors::look(host, outside.leak(&mut exec));
        assert_eq!(outcome.code(), 7, "{outcome:?}");
        assert!(seen.open.len() > 10 && seen.look_ups > 0, "{:?} {}", seen.open, seen.look_ups);
        let ways_out: Vec<_> = seen.ways_out.into_iter().collect();
        assert!(ways_out.is_empty(), "{}", ways_out.join("\n"));
        pod.stop();
    }
}

/// Every descriptor that the launcher of a pod has open at any time.
fn no_working_directory_leads_out(host: &Host) {
    let outside = Outside::make(host);
    let mut start = launcher(host, &spec("    command: ['true']\n"));
    let (seen, _) = descriptors::look(host, outside.leak(&mut start));
    let names = outside.names(&seen.open);
    // A start of a pod takes its time: so, of each descriptor, only the name from above.
    let names = names.iter().skip(1).step_by(2);
    for name in names.chain(outside.names_of_processes().first()) {
        let name = name.display();
        let spec = spec(&format!("    workingDir: {name}\n    command: [pwd]\n"));
        let outcome = Outcome::of(outside.leak(&mut launcher(host, &spec)));
        assert_eq!(outcome.code(), 125, "{name}: {outcome:?}");
        let [line] = outcome.complaints()[..] else { panic!("{outcome:?}") };
        assert!(line.starts_with("Error: ") && line.contains("working directory"), "{line}");
    }
}

/// An image can call its root `1000`.
fn a_number_is_no_name(host: &Host) {
    let volume = host.dir("volume");
    fs::write(volume.join("passwd"), "1000:x:0:0::/:/bin/sh\n").unwrap();
    fs::write(volume.join("group"), "1000:x:0:\n").unwrap();
    let mounts = "    volumeMounts:\n    - {name: v, mountPath: /etc/passwd}\n    \
                  - {name: w, mountPath: /etc/group}\n";
    let volumes = format!(
        "  volumes:\n  - {{name: v, hostPath: {{path: {0}/passwd}}}}\n  - {{name: w, hostPath: \
         {{path: {0}/group}}}}\n",
        volume.display()
    );
    let user = "    securityContext: {runAsUser: 1000}\n";
    let command = "    command: [sh, -c, id -u; id -g]\n";
    let outcome = run(host, &(spec(command) + user + mounts + &volumes));
    assert_eq!(outcome.text().lines().skip(1).collect::<Vec<_>>(), ["a | 1000", "a | 0"]);
    // A second door: exec.
    let command = "    command: [sh, -c, echo ready; exec sleep 1000]\n";
    let mut pod = Pod::start_ready(host, &(spec(command) + user + mounts + &volumes), 1);
    assert_eq!(pod.sh("id -u"), "1000\n");
    pod.stop();
}

/// What a container does to its stdin, it does to a device of its own.
fn the_null_device_is_the_containers(host: &Host) {
    let mode = || fs::metadata("/dev/null").unwrap().permissions().mode();
    let before = mode();
    let script = "cat; chmod 0 /proc/self/fd/0; chmod 0 /dev/stdin; echo done";
    let spec = spec(&format!("    command: [sh, -c, '{script}']\n"));
    let outcome = run(host, &spec);
    assert!(outcome.stdout.ends_with(b"a | done\n"), "{outcome:?}");
    assert_eq!(mode(), before, "{outcome:?}");
}
