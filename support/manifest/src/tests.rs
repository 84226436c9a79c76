//! What is read, and what is refused.

use super::*;

fn pod(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: test\nspec:\n{spec}")
}

fn of_container(more: &str) -> String {
    pod(&format!("  containers:\n  - name: a\n    image: busybox\n{more}"))
}

#[track_caller]
fn told(text: &str) -> String {
    launcher::command_line::one_line(&Pod::read(text).unwrap_err())
}

#[test]
fn every_field_is_read() {
    let text = "\
apiVersion: v1
kind: Pod
metadata: {name: web.example}
spec:
  hostname: web-1
  shareProcessNamespace: true
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 5
  volumes:
  - name: pages
    emptyDir: {}
  - name: file
    hostPath: {path: /etc/hosts}
  - name: default
  initContainers:
  - {name: first, image: busybox, command: [sh, -c, 'echo $(A) $$(A) $(B) $A']}
  containers:
  - name: nginx
    image: docker.io/library/nginx:1.27
    command: [nginx]
    args: [-g, 'user $(USER);']
    env:
    - {name: USER, value: root}
    - {name: TWICE, value: $(USER)$(USER)}
    - {name: USER, value: nobody}
    - name: EMPTY
    workingDir: /srv
    ports:
    - {containerPort: 80, hostPort: 8080}
    - containerPort: 443
    resources:
      limits: {memory: 64Mi, cpu: 250m}
    volumeMounts:
    - {name: pages, mountPath: /pages}
    - {name: file, mountPath: /etc/file, readOnly: true}
    securityContext:
      runAsUser: 1000
";
    let pod = Pod::read(text).unwrap();
    assert_eq!((pod.name.as_str(), pod.hostname.as_str()), ("web.example", "web-1"));
    assert!(pod.share_process_namespace);
    assert_eq!(pod.restart_policy, RestartPolicy::OnFailure);
    assert_eq!(pod.grace_period, Duration::from_secs(5));
    let sources: Vec<_> = pod.volumes.iter().map(|(_, source)| source.clone()).collect();
    let host_path = Source::HostPath("/etc/hosts".into());
    assert_eq!(sources, [Source::EmptyDir, host_path, Source::EmptyDir]);
    let first = pod.init_containers[0].command.as_ref().unwrap();
    assert_eq!(first[2], "echo $(A) $(A) $(B) $A");
    let nginx = &pod.containers[0];
    assert_eq!((nginx.image.repository.as_str(), nginx.image.tag.as_str()), ("nginx", "1.27"));
    assert_eq!(nginx.args.as_deref().unwrap()[1], "user nobody;");
    let twice = nginx.env.iter().find(|(name, _)| name == "TWICE").unwrap();
    assert_eq!(twice.1, "rootroot");
    assert_eq!(nginx.ports[0], Port { container: 80, host: Some(8080) });
    assert_eq!(nginx.ports[1], Port { container: 443, host: None });
    assert_eq!((nginx.memory, nginx.cpu), (Some(64 << 20), Some(0.25)));
    assert!(nginx.mounts[1].read_only && !nginx.mounts[0].read_only);
    assert_eq!(nginx.run_as_user, Some(1000));
}

#[test]
fn what_is_left_out_has_kubernetes_default() {
    let pod = Pod::read(&of_container("")).unwrap();
    assert_eq!(pod.hostname, "test");
    assert!(!pod.share_process_namespace);
    assert_eq!(pod.restart_policy, RestartPolicy::Always);
    assert_eq!(pod.grace_period, Duration::from_secs(30));
    assert!(pod.containers[0].command.is_none() && pod.containers[0].args.is_none());
    let long = Pod::read(&of_container("").replace("test", &format!("{}.x", "a".repeat(62))));
    assert_eq!(long.unwrap().hostname, "a".repeat(62), "63 characters, without a dot at the end");
}

#[test]
fn yaml_errors_have_line_and_column() {
    for (text, place) in [
        ("a: [1", "line 2, column"),
        ("a: 1\n\tb: 2", "line 1, column 4"),
        ("a: 'x", "line 1, column"),
        ("a: b: c", "line 1, column"),
        ("*x", "line 1, column 1"),
    ] {
        let told = told(text);
        assert!(told.contains("no YAML") && told.contains(place), "{text:?}: {told}");
    }
    assert!(told("").contains("empty"));
    assert!(told("--- 1\n--- 2").contains("second document (line 2)"));
    assert!(told(&format!("{}1", "[".repeat(200))).contains("nested too deep"));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
    }
    assert!(told(&bomb).contains("with its aliases written out"));
}

/// What the API server refuses is refused, and each with its own message.
#[test]
fn what_the_api_server_refuses_is_refused() {
    let long = "x".repeat(64);
    let table = [
        ("[]".into(), "the manifest: it is a list, not a mapping (line 1, column 1)"),
        ("kind: Pod".into(), "the manifest: the field apiVersion is missing"),
        ("apiVersion: v2".into(), "apiVersion: it is \"v2\"; only \"v1\""),
        (of_container("").replace("kind: Pod", "kind: Job"), "kind: it is \"Job\"; only \"Pod\""),
        (of_container("").replace("Pod", "Pod\nstatus: {}"), "status: no such field"),
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
        (of_container("  restartPolicy: never\n"), "restartPolicy: \"never\" is none of Always"),
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
    assert!(told(&of_container("    tty: true\n")).contains("containers[0].tty: no such field"));
}

/// What a text of a few lines can stand for must not fill the memory, nor take for ever: these are
/// read in a moment, or refused.
#[test]
fn a_small_text_is_not_read_for_long() {
    let start = std::time::Instant::now();
    let long_key = format!("? {}\n: [{}]\n", "k".repeat(20_000), "a,".repeat(80_000));
    assert!(told(&(of_container("") + &long_key)).contains("kkk: no such field"));
    let many_keys: String = (0..45_000).map(|number| format!("key{number}: a\n")).collect();
    assert!(told(&many_keys).contains("apiVersion is missing"));
    // The text of one anchor, again and again; and a list that is ten times the one before.
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(200_000), "*a,".repeat(1000));
    assert!(told(&text).contains("with its aliases written out"));
    let tens: String = (1..9)
        .map(|level| format!("l{level}: &l{level} [{}]\n", format!("*l{},", level - 1).repeat(10)))
        .collect();
    assert!(told(&format!("l0: &l0 a\n{tens}")).contains("with its aliases written out"));
    // Of all that is in an anchor a copy is kept.
    let nested = (0..90).map(|level| format!("&a{level} [")).collect::<String>();
    assert!(
        told(&format!("a: {nested}{}{}", "a,".repeat(90_000), "]".repeat(90)))
            .contains("with its aliases written out")
    );
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn variables_do_not_grow_for_ever() {
    let doubled: String = (1..40)
        .map(|number| format!("    - {{name: V{number}, value: $(V{n})$(V{n})}}\n", n = number - 1))
        .collect();
    let env = format!("    env:\n    - {{name: V0, value: xx}}\n{doubled}");
    let what = told(&of_container(&env));
    assert!(what.contains("spec.containers[0]: with every $(NAME) expanded"), "{what}");
    // A little in each of many containers is too much too.
    let container = format!(
        "  - name: a\n    image: busybox\n    env:\n    - {{name: A, value: {}}}\n    args: [{}]\n",
        "x".repeat(1000),
        "$(A)".repeat(400)
    );
    let what = told(&pod(&format!("  containers:\n{}", container.repeat(10))));
    assert!(what.contains("with every $(NAME) expanded"), "{what}");
}
