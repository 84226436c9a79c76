//! What changes nothing for one pod: it is taken, and told.

use super::{of_container, pod, told};
use crate::pod::{Pod, Port, Protocol};
use crate::{Manifest, Wanted};

/// The fields that are told to change nothing.
#[track_caller]
fn passed_over(text: &str) -> String {
    let notes = Manifest::read(text, &Wanted::Pod).unwrap().notes;
    let told = notes.first().cloned().unwrap_or_default();
    let start = "for one pod on this machine these fields change nothing: ";
    told.strip_prefix(start).map(str::to_owned).unwrap_or(told)
}

#[test]
fn what_kubectl_run_writes_runs_as_it_is() {
    let text = "\
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  labels:
    run: x
  name: x
spec:
  containers:
  - image: busybox
    name: x
    resources: {}
  dnsPolicy: ClusterFirst
  restartPolicy: Always
status: {}
";
    assert_eq!(passed_over(text), "metadata.labels, spec.dnsPolicy");
}

/// Each by itself, and its value, of which the type is checked.
#[test]
fn what_changes_nothing_is_passed_over() {
    for (field, value, wrong, what) in [
        ("affinity", "{nodeAffinity: {}}", "[]", "it is a list, not a mapping"),
        ("automountServiceAccountToken", "false", "'no'", "it is a text, not true or false"),
        ("dnsPolicy", "ClusterFirst", "Default", "\"Default\" is none of ClusterFirst, C"),
        ("dnsPolicy", "ClusterFirstWithHostNet", "None", "\"None\" is none of ClusterFirst, C"),
        ("enableServiceLinks", "true", "1", "it is a number, not true or false"),
        ("imagePullSecrets", "[{name: mine}]", "mine", "it is a text, not a list"),
        ("nodeName", "worker-1", "1", "it is a number, not a text (quote it: \"1\")"),
        ("nodeSelector", "{disk: ssd}", "{disk: 1}", "nodeSelector.disk: it is a number, not"),
        ("preemptionPolicy", "Never", "Always", "\"Always\" is none of Never, PreemptLowerP"),
        ("priority", "1000", "high", "it is a text, not an integer"),
        ("priorityClassName", "high", "1", "it is a number, not a text"),
        ("readinessGates", "[{conditionType: a}]", "{}", "it is a mapping, not a list"),
        ("schedulerName", "mine", "[]", "it is a list, not a text"),
        ("serviceAccount", "mine", "[]", "it is a list, not a text"),
        ("serviceAccountName", "mine", "on", "it is a boolean, not a text"),
        ("tolerations", "[{operator: Exists}]", "{}", "it is a mapping, not a list"),
        ("topologySpreadConstraints", "[{maxSkew: 1}]", "1", "it is a number, not a list"),
    ] {
        let text = of_container(&format!("  {field}: {value}\n"));
        assert_eq!(passed_over(&text), format!("spec.{field}"), "{text}");
        let told = told(&of_container(&format!("  {field}: {wrong}\n")));
        assert!(told.starts_with("spec.") && told.contains(what), "{field}: {told}");
    }
    for (field, value, wrong, what) in [
        ("imagePullPolicy", "Always", "always", "\"always\" is none of Always, IfNotPresent, N"),
        ("resizePolicy", "[{resourceName: cpu}]", "{}", "it is a mapping, not a list"),
        ("terminationMessagePath", "/dev/log", "1", "it is a number, not a text"),
        ("terminationMessagePolicy", "File", "file", "\"file\" is none of File, FallbackToLogs"),
    ] {
        let text = of_container(&format!("    {field}: {value}\n"));
        assert_eq!(passed_over(&text), format!("spec.containers[0].{field}"), "{text}");
        let told = told(&of_container(&format!("    {field}: {wrong}\n")));
        assert!(told.contains(&format!("containers[0].{field}: {what}")), "{told}");
    }
}

#[test]
fn the_metadata_of_a_pod_is_passed_over() {
    for (field, value, wrong, what) in [
        ("annotations", "{a.b/c: 'd, e'}", "{a: 1}", "annotations.a: it is a number, not a"),
        ("annotations", "{x: ''}", "{a b: c}", "\"a b\" is none of a label"),
        ("creationTimestamp", "2026-01-01T00:00:00Z", "1", "it is a number, not a text"),
        ("finalizers", "[a]", "a", "it is a text, not a list"),
        ("generation", "1", "a", "it is a text, not an integer"),
        ("labels", "{app: web, k8s-app.io/x_y: Z.1}", "{app: y}", "app: it is a boolean, not a"),
        ("labels", "{app: web}", "{app: a b}", "labels.app: \"a b\" is none of a label"),
        ("labels", "{app: ''}", "{app: -a}", "\"-a\" is none of a label"),
        ("labels", "{app: web}", "{A/b: c}", "metadata.labels.A/b: \"A\" is no name"),
        ("labels", "{app: web}", "{a/: c}", "metadata.labels.a/: it is empty"),
        ("managedFields", "[{}]", "{}", "it is a mapping, not a list"),
        ("namespace", "default", "a.b", "\"a.b\" is no name"),
        ("ownerReferences", "[{}]", "{}", "it is a mapping, not a list"),
        ("resourceVersion", "'1'", "1", "it is a number, not a text (quote it: \"1\")"),
        ("uid", "abc", "1", "it is a number, not a text"),
    ] {
        let with = |value| of_container("").replace("test", &format!("test\n  {field}: {value}"));
        assert_eq!(passed_over(&with(value)), format!("metadata.{field}"));
        let told = told(&with(wrong));
        assert!(told.contains(what), "{field}: {told}");
    }
    let generated = of_container("").replace("name: test", "generateName: web-");
    assert_eq!(Pod::read(&generated).unwrap().name, "web");
    let both = of_container("").replace("name: test", "generateName: web-\n  name: app");
    assert_eq!(Pod::read(&both).unwrap().name, "app");
    let status = of_container("").replace("kind", "status: {phase: Running}\nkind");
    assert_eq!(passed_over(&status), "status");
}

/// Nothing is passed over of what is empty, or so here anyway.
#[test]
fn what_is_so_anyway_is_not_told() {
    let more = "    stdin: false\n    stdinOnce: false\n    tty: false\n    securityContext: {}\n  \
                hostNetwork: false\n  hostPID: no\n  hostIPC: false\n  setHostnameAsFQDN: false\n  \
                hostUsers: true\n  os: {name: linux}\n  tolerations: []\n  nodeSelector: {}\n  \
                affinity:\n  securityContext: {}\n";
    assert_eq!(passed_over(&of_container(more)), "");
    for (more, what) in [
        (
            "    tty: true\n",
            "containers[0].tty: here it can only be false (container \"a\", line 9",
        ),
        ("    stdin: true\n", "containers[0].stdin: here it can only be false"),
        ("    stdin: 1\n", "containers[0].stdin: it is a number, not true or false"),
        ("  hostNetwork: true\n", "spec.hostNetwork: here it can only be false (line 9, column 3)"),
        ("  hostPID: true\n", "spec.hostPID: here it can only be false"),
        ("  hostIPC: true\n", "spec.hostIPC: here it can only be false"),
        ("  setHostnameAsFQDN: true\n", "spec.setHostnameAsFQDN: here it can only be false"),
        ("  hostUsers: false\n", "spec.hostUsers: here it can only be true"),
        ("  os: {name: windows}\n", "spec.os.name: here it can only be linux"),
    ] {
        let told = told(&of_container(more));
        assert!(told.contains(what), "{told}");
    }
}

/// The line does not grow with the file.
#[test]
fn of_very_much_that_is_passed_over_the_first_is_told() {
    let container = |number| format!("  - {{name: a{number}, image: a, imagePullPolicy: Never}}\n");
    let containers: String = (0..30).map(container).collect();
    let told = passed_over(&pod(&format!("  containers:\n{containers}")));
    assert!(told.starts_with("spec.containers[0].imagePullPolicy, spec.containers[1].i"), "{told}");
    assert!(told.ends_with("spec.containers[19].imagePullPolicy, and 10 more"), "{told}");
}

#[test]
fn ports_have_names_and_protocols() {
    let ports = "    ports:\n    - {name: web-1, containerPort: 80, protocol: TCP}\n    - {name: dns, \
                 containerPort: 80, protocol: UDP, hostPort: 53, hostIP: 127.0.0.1}\n    - \
                 {containerPort: 53, hostPort: 53, protocol: TCP}\n    - {containerPort: 9, \
                 protocol: SCTP, hostIP: ''}\n";
    let pod = Pod::read(&of_container(ports)).unwrap();
    let dns = Port {
        name: Some("dns".into()),
        container: 80,
        host: Some(53),
        host_ip: Some("127.0.0.1".parse().unwrap()),
        protocol: Protocol::Udp,
    };
    assert_eq!(pod.containers[0].ports[1], dns);
    assert_eq!(pod.containers[0].ports[0].protocol, Protocol::Tcp);
    let one = |more: &str| of_container(&format!("    ports: [{{containerPort: 80, {more}}}]\n"));
    for (text, what) in [
        (one("name: Web"), "ports[0].name: \"Web\" is no name of a port"),
        (one("name: a--b"), "\"a--b\" is no name of a port"),
        (one("name: -a"), "\"-a\" is no name of a port"),
        (one("name: '80'"), "\"80\" is no name of a port: small letters, at least one"),
        (one("name: sixteen-letters-"), "ports[0].name: it has 16 characters, and 15 are the most"),
        (one("name: ''"), "ports[0].name: it is empty"),
        (one("protocol: tcp"), "protocol: \"tcp\" is none of TCP, UDP, SCTP"),
        (one("protocol: SCTP, hostPort: 80"), "ports[0]: a port of SCTP cannot be published here"),
        (one("hostIP: localhost"), "hostIP: \"localhost\" is no IP address"),
        (one("name: a}, {containerPort: 81, name: a"), "[0]: two ports have the name \"a\""),
        (
            one("hostPort: 9, hostIP: 1.1.1.1}, {containerPort: 8, hostPort: 9, hostIP: 1.1.1.1"),
            "hostPort 9 is there twice in the pod",
        ),
    ] {
        let told = told(&text);
        assert!(told.contains(what), "{text}: {told}");
    }
}

#[test]
fn requests_are_at_most_the_limits() {
    let resources = |text: &str| of_container(&format!("    resources: {{{text}}}\n"));
    let text = resources("requests: {cpu: 100m, memory: 1Mi}, limits: {cpu: 0.1, memory: 64Mi}");
    let read = &Pod::read(&text).unwrap().containers[0].resources;
    assert_eq!((read.requests.memory, read.requests.cpu), (Some(1 << 20), Some(0.1)));
    assert_eq!(
        passed_over(&text),
        "spec.containers[0].resources.requests.cpu, spec.containers[0].resources.requests.memory"
    );
    let read = Pod::read(&resources("limits: {cpu: 2, memory: 64Mi}")).unwrap();
    let requests = &read.containers[0].resources.requests;
    assert_eq!((requests.memory, requests.cpu), (Some(64 << 20), Some(2.0)), "those of the limits");
    let text = resources("requests: {ephemeral-storage: 1Gi}");
    let path = "spec.containers[0].resources.requests.ephemeral-storage";
    assert_eq!(passed_over(&text), path);
    for (text, what) in [
        ("requests: {memory: 65Mi}, limits: {memory: 64Mi}", "more memory is requested than the l"),
        ("requests: {cpu: 1001m}, limits: {cpu: 1}", "more cpu is requested than the limit allows"),
        ("requests: {cpu: much}", "requests.cpu: \"much\" is not a quantity"),
        ("requests: {gpu: 1}", "requests.gpu: no such field"),
        ("limits: {ephemeral-storage: 1Gi}", "limits.ephemeral-storage: no such field"),
    ] {
        let told = told(&resources(text));
        assert!(told.contains(what), "{text}: {told}");
    }
}

/// What a container says itself counts.
#[test]
fn the_user_of_the_pod_is_that_of_its_containers() {
    let text = of_container("  - {name: b, image: b, securityContext: {runAsUser: 7}}\n")
        + "  securityContext: {runAsUser: 1000}\n";
    let users = Pod::read(&text).unwrap();
    let users: Vec<_> = users.containers.iter().map(|it| it.security_context.run_as_user).collect();
    assert_eq!(users, [Some(1000), Some(7)]);
}

/// What they ask for is not done here, so it cannot be passed over.
#[test]
fn probes_hooks_and_sidecars_are_refused() {
    for field in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
        let told = told(&of_container(&format!("    {field}: {{exec: {{command: [a]}}}}\n")));
        assert!(told.starts_with(&format!("spec.containers[0].{field}: no such field")), "{told}");
    }
    let told =
        told(&of_container("  initContainers: [{name: b, image: b, restartPolicy: Always}]\n"));
    assert!(told.starts_with("spec.initContainers[0].restartPolicy: no such field"), "{told}");
    assert!(told.contains("(container \"b\", line 9"), "{told}");
}
