//! Manifests as people have them: with what is for a cluster, and with several objects in a file.

use std::fs::{self, File};
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use testbed::{Host, Outcome, Suite};

use crate::pod::{Pod, scripts};

const KUBECTL_RUN: &str = "\
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  labels:
    run: p
  name: p
spec:
  containers:
  - image: busybox
    name: p
    resources: {}
  dnsPolicy: ClusterFirst
  restartPolicy: Always
status: {}
";

const JOB: &str = "\
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  backoffLimit: 1
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: a, image: busybox, command: [echo, hi]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
";

pub fn add(suite: Suite) -> Suite {
    suite
        .both("what_kubectl_run_writes", what_kubectl_run_writes)
        .both("a_template_from_standard_input", a_template_from_standard_input)
        .both("a_file_with_several_objects", a_file_with_several_objects)
        .both("all_that_is_wrong_is_told", all_that_is_wrong_is_told)
        .both("a_udp_port_is_published", a_udp_port_is_published)
}

fn file(host: &Host, text: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = host.dir(&format!("manifest{number}")).join("pod.yaml");
    fs::write(&path, text).unwrap();
    host.give(&path);
    path
}

fn launcher(host: &Host, arguments: &[&str]) -> Command {
    let mut launcher = host.launcher();
    launcher.args(["run", "--net", "none"]).args(arguments);
    launcher
}

fn run(host: &Host, text: &str) -> Outcome {
    Outcome::of(launcher(host, &[]).arg(file(host, text)))
}

fn what_kubectl_run_writes(host: &Host) {
    let text = KUBECTL_RUN.replace("Always", "Never");
    let outcome = run(host, &text);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let told = "Note: for one pod on this machine these fields change nothing: metadata.labels, \
                spec.dnsPolicy\n";
    assert!(outcome.stderr.contains(told), "{outcome:?}");
    let mut pod = Pod::follow(host, launcher(host, &[]).arg(file(host, KUBECTL_RUN)));
    pod.stop();
}

/// As it comes from `kubectl get`, or out of another file.
fn a_template_from_standard_input(host: &Host) {
    let path = file(host, JOB);
    for template in ["--template", "--template=once"] {
        let mut launcher = launcher(host, &[template, "-"]);
        let outcome = Outcome::of(launcher.stdin(File::open(&path).unwrap()));
        assert!(outcome.text().ends_with("a | hi\n"), "{outcome:?}");
        for told in [
            "Note: only the Job \"once\" (line 1) is run, not Service \"web\" (line 12)\n",
            "these fields change nothing: spec.backoffLimit\n",
        ] {
            assert!(outcome.stderr.contains(told), "{outcome:?}");
        }
    }
    run(host, JOB).assert_refused(
        125,
        &[
            "pod.yaml: it has no Pod, but Job \"once\" (line 1), Service \"web\" (line 12)",
            "(a Job makes pods: its template is one, run it with --template)",
        ],
    );
    let mut launcher = launcher(host, &["--template=twice"]);
    let outcome = Outcome::of(launcher.arg(&path));
    outcome.assert_refused(125, &["no template of a pod in an object \"twice\""]);
}

fn a_file_with_several_objects(host: &Host) {
    let pod = KUBECTL_RUN
        .replace("Always", "Never")
        .replace("    name: p\n", "    name: p\n    command: [echo, hi]\n");
    let text = format!("---\n# nothing\n---\n{pod}---\n{JOB}---\n");
    let outcome = run(host, &text);
    assert!(outcome.text().ends_with("p | hi\n"), "{outcome:?}");
    let told = "Note: only the Pod \"p\" (line 4) is run, not Job \"once\" (line 21), Service \"web\" \
                (line 32) (a Job makes pods: its template is one, run it with --template)\n";
    assert!(outcome.stderr.contains(told), "{outcome:?}");
}

fn all_that_is_wrong_is_told(host: &Host) {
    let more =
        "    tty: true\n    env: [{name: A, value: y}]\n    securityContext: {runAsUser: 01000}\n";
    crate::pod::run(host, &(scripts("", &[("web", "true")]) + more)).assert_refused(
        125,
        &[
            "pod.yaml: spec.containers[0].tty: here it can only be false (container \"web\", line 15, ",
            "column 5); and spec.containers[0].env[0].value: it is a boolean, not a text (quote it: ",
            "(container \"web\", line 16, column 28); spec.containers[0].securityContext.runAsUser: to \
             Kubernetes 01000 is octal, the number 512 (write 1000, or 512 if that is what you mean)",
        ],
    );
}

fn a_udp_port_is_published(host: &Host) {
    let spec = scripts("", &[("dns", "exec sleep 1000")])
        + "    ports: [{name: dns, containerPort: 53, hostPort: 8053, protocol: UDP, hostIP: \
           127.0.0.1}]\n";
    let mut pod = Pod::start(host, &spec);
    assert!(UdpSocket::bind("127.0.0.1:8053").is_err(), "it is the pod's");
    assert!(UdpSocket::bind("127.0.0.2:8053").is_ok(), "it is that of one address");
    assert!(TcpStream::connect("127.0.0.1:8053").is_err(), "it is none of TCP");
    pod.stop();
    assert!(UdpSocket::bind("127.0.0.1:8053").is_ok());
}
