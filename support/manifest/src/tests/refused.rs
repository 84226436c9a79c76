//! What is YAML, and no pod that can run here.

use super::{of_container, pod, told};

/// What the API server refuses is refused, and each with its own message.
#[test]
fn what_the_api_server_refuses_is_refused() {
    let long = "x".repeat(64);
    let table = [
        ("[]".into(), "the manifest: it is a list, not a mapping (line 1, column 1)"),
        ("kind: Pod".into(), "the manifest: the field apiVersion is missing"),
        ("apiVersion: v1".into(), "the manifest: the field kind is missing (line 1, column 1)"),
        (
            of_container("").replace(": v1", ": v2"),
            "apiVersion: it is \"v2\"; only \"v1\" has a Pod",
        ),
        (
            of_container("").replace("kind: Pod", "kind: pod"),
            "it has no Pod, but pod \"test\" (line 1)",
        ),
        (of_container("").replace("Pod", "Pod\nstate: {}"), "state: no such field"),
        (
            of_container("").replace("name: test", "name: Test"),
            "metadata.name: \"Test\" is no name",
        ),
        (of_container("").replace("name: test", "name: 7"), "metadata.name: it is a number, not a"),
        (
            of_container("").replace("test", &"x".repeat(254)),
            "metadata.name: it has 254 characters",
        ),
        (pod("  containers: []"), "spec.containers: a pod has at least one container (line 6"),
        (pod("  hostname: x"), "spec: the field containers is missing"),
        (pod("  containers:"), "spec: the field containers is missing"),
        (pod("  containers: {}"), "spec.containers: it is a mapping, not a list"),
        (pod("  containers: [x]"), "spec.containers[0]: it is a text, not a mapping"),
        (pod("  containers: [{name: a}]"), "spec.containers[0]: the field image is missing"),
        (pod("  containers: [{image: a}]"), "spec.containers[0]: the field name is missing"),
        (of_container("    nmae: b\n"), "spec.containers[0].nmae: no such field is supported here"),
        (of_container("    name: b\n"), "spec.containers[0].name: it is there twice"),
        (
            of_container("").replace("name: a", "name: a_b"),
            "spec.containers[0].name: \"a_b\" is no",
        ),
        (of_container("").replace("name: a", &format!("name: {long}")), "it has 64 characters"),
        (of_container("").replace("busybox", "Busy"), "containers[0].image: \"Busy\" is no image"),
        (of_container("").replace("busybox", "1.5"), "containers[0].image: it is a number"),
        (of_container("  - {name: a, image: b}\n"), "two containers have the name \"a\""),
        (
            of_container("  initContainers: [{name: a, image: b}]\n"),
            "two containers have the name \"a\"",
        ),
        (of_container("    command: sh\n"), "command: it is a text, not a list"),
        (
            of_container("    command: [sleep, 10]\n"),
            "command[1]: it is a number, not a text (quote",
        ),
        (of_container("    args: [true]\n"), "args[0]: it is a boolean, not a text"),
        (of_container("    env: {A: b}\n"), "env: it is a mapping, not a list"),
        (of_container("    env: [{value: b}]\n"), "env[0]: the field name is missing"),
        (
            of_container("    env: [{name: A, value: 1}]\n"),
            "env[0].value: it is a number, not a text",
        ),
        (
            of_container("    env: [{name: A, value: yes}]\n"),
            "env[0].value: it is a boolean, not a",
        ),
        (of_container("    env: [{name: A=B}]\n"), "env[0].name: \"A=B\" is no name of a variable"),
        (of_container("    ports: [80]\n"), "ports[0]: it is a number, not a mapping"),
        (of_container("    ports: [{hostPort: 80}]\n"), "ports[0]: the field containerPort is"),
        (
            of_container("    ports: [{containerPort: 0}]\n"),
            "containerPort: 0 is not between 1 and",
        ),
        (of_container("    ports: [{containerPort: 65536}]\n"), "65536 is not between 1 and 65535"),
        (of_container("    ports: [{containerPort: '80'}]\n"), "it is a text, not an integer"),
        (of_container("    ports: [{containerPort: 8.5}]\n"), "it is not an integer"),
        (
            of_container(
                "    ports: [{containerPort: 1, hostPort: 9}, {containerPort: 2, hostPort: 9}]\n",
            ),
            "hostPort 9 is there twice in the pod",
        ),
        (
            of_container("    resources: {limits: {cpu: banana}}\n"),
            "cpu: \"banana\" is not a quantity",
        ),
        (
            of_container("    resources: {limits: {memory: 12Q}}\n"),
            "memory: \"12Q\" is not a quantity",
        ),
        (of_container("    resources: {limits: {memory: -1}}\n"), "memory: -1 is less than zero"),
        (
            of_container("    resources: {limits: {cpu: [1]}}\n"),
            "cpu: it is a list, not a quantity",
        ),
        (of_container("    resources: {limits: {gold: 1}}\n"), "limits.gold: no such field"),
        (of_container("    volumeMounts: [{name: v, mountPath: /v}]\n"), "has no volume \"v\""),
        (
            of_container("    volumeMounts: [{name: v, mountPath: /v}]\n  volumes: [{name: w}]\n"),
            "has no volume \"v\"",
        ),
        (of_container("    volumeMounts: [{name: v}]\n"), "the field mountPath is missing"),
        (
            of_container(
                "    volumeMounts: [{name: v, mountPath: /a:b}]\n  volumes: [{name: v}]\n",
            ),
            "mountPath: it must not contain a :",
        ),
        (
            of_container(
                "    volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /a}]\n  \
                 volumes: [{name: v}]\n",
            ),
            "two volumes are mounted at \"/a\"",
        ),
        (of_container("  volumes: [{name: v}, {name: v}]\n"), "two volumes have the name \"v\""),
        (
            of_container("  volumes: [{name: v, emptyDir: {}, hostPath: {path: /}}]\n"),
            "volumes[0]: it is both",
        ),
        (of_container("  volumes: [{name: v, emptyDir: {medium: x}}]\n"), "\"x\" is neither empty"),
        (of_container("  volumes: [{name: v, emptyDir: {sizeLimit: 1Q}}]\n"), "is not a quantity"),
        (
            of_container("  volumes: [{name: v, hostPath: {}}]\n"),
            "hostPath: the field path is missing",
        ),
        (of_container("  volumes: [{name: v, hostPath: {path: /a/../b}}]\n"), "goes through .."),
        (of_container("  volumes: [{name: V}]\n"), "volumes[0].name: \"V\" is no name"),
        (of_container("    securityContext: {runAsUser: -1}\n"), "runAsUser: -1 is not between 0"),
        (
            of_container("    securityContext: {runAsUser: root}\n"),
            "runAsUser: it is a text, not an",
        ),
        (
            of_container("  restartPolicy: never\n"),
            "restartPolicy: \"never\" is none of Always, OnFailure, Never",
        ),
        (of_container("  hostname: a.b\n"), "spec.hostname: \"a.b\" is no name"),
        (of_container(&format!("  hostname: {long}\n")), "spec.hostname: it has 64 characters"),
        (of_container("  shareProcessNamespace: 1\n"), "it is a number, not true or false"),
        (of_container("  terminationGracePeriodSeconds: 1.5\n"), "Seconds: it is not an integer"),
        (of_container("  terminationGracePeriodSeconds: -1\n"), "Seconds: -1 is not between"),
        (of_container("  1: x\n"), "spec.1: no such field"),
        (of_container("  [a]: x\n"), "a list cannot be a key here"),
    ];
    let messages: Vec<_> = table.iter().map(|(text, _)| told(text)).collect();
    for ((text, fault), told) in table.iter().zip(&messages) {
        assert!(told.contains(fault), "{text}\nis refused with\n{told}\nnot with\n{fault}");
    }
}

/// Not refused by the API server, but here: such a pod could not do what it says.
#[test]
fn what_has_no_meaning_here_is_refused() {
    let two = of_container("    ports: [{containerPort: 80}]\n")
        + "  - {name: b, image: b, ports: [{containerPort: 80}]}\n";
    assert!(told(&two).contains("containerPort 80 is that of \"a\" too"));
    let init =
        "  initContainers:\n  - {name: b, image: b, ports: [{containerPort: 80, hostPort: 80}]}\n";
    assert!(told(&of_container(init)).contains("spec.initContainers[0]: the hostPort of an init"));
    assert!(told(&of_container("    resources: {limits: {memory: 1k}}\n")).contains("6Mi is the"));
    assert!(told(&of_container("  volumes: [{name: v, hostPath: {path: a}}]\n")).contains("start"));
    let huge = "  volumes: [{name: v, emptyDir: {medium: HugePages-2Mi}}]\n";
    assert!(told(&of_container(huge)).contains("huge pages are set aside by a cluster"));
    assert!(told(&of_container("    tty: true\n")).contains("containers[0].tty: here it can"));
}
