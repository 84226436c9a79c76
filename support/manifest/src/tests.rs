//! What is read. What is refused is in the files below.

mod accepted;
mod long;
mod objects;
mod refused;
mod unknown;
mod yaml;

use crate::pod::{Medium, Pod, Port, RestartPolicy, Source, Volume};
use std::time::Duration;

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
    let sources: Vec<_> = pod.volumes.iter().map(|volume| volume.source.clone()).collect();
    let host_path = Source::HostPath("/etc/hosts".into());
    assert_eq!(sources, [Source::default(), host_path, Source::default()]);
    let first = pod.init_containers[0].command.as_ref().unwrap();
    assert_eq!(first[2], "echo $(A) $(A) $(B) $A");
    let nginx = &pod.containers[0];
    assert_eq!(nginx.image.to_string(), "nginx:1.27");
    assert_eq!(nginx.args.as_deref().unwrap()[1], "user nobody;");
    let twice = nginx.env.iter().find(|(name, _)| name == "TWICE").unwrap();
    assert_eq!(twice.1, "rootroot");
    assert_eq!(nginx.ports[0], Port { container: 80, host: Some(8080), ..Port::default() });
    assert_eq!(nginx.ports[1], Port { container: 443, ..Port::default() });
    assert_eq!(
        (nginx.resources.limits.memory, nginx.resources.limits.cpu),
        (Some(64 << 20), Some(0.25))
    );
    assert!(nginx.mounts[1].read_only && !nginx.mounts[0].read_only);
    assert_eq!(nginx.security_context.run_as_user, Some(1000));
}

#[test]
fn an_image_can_be_named_by_its_digest() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let with = |image: &str| of_container("").replace("busybox", &format!("'{image}'"));
    let pod = Pod::read(&with(&format!("docker.io/library/nginx:1@{digest}"))).unwrap();
    assert_eq!(pod.containers[0].image.to_string(), format!("nginx@{digest}"));
    for wrong in ["nginx@sha256:0", "Nginx", "nginx:"] {
        let error = Pod::read(&with(wrong)).unwrap_err().to_string();
        assert!(error.contains("spec.containers[0].image: "), "{error}");
        assert!(error.contains("line 8"), "{error}");
    }
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
fn an_empty_dir_says_where_it_lies_and_how_much_it_holds() {
    let source = |text: &str| {
        let volumes = format!("  volumes: [{{name: v, emptyDir: {text}}}]\n");
        let pod = Pod::read(&of_container(&volumes)).unwrap();
        let [Volume { source: Source::EmptyDir(empty), .. }] = &pod.volumes[..] else { panic!() };
        (empty.medium, empty.size_limit)
    };
    assert_eq!(source("{}"), (Medium::Disk, None));
    assert_eq!(source("{medium: ''}"), (Medium::Disk, None));
    assert_eq!(source("{medium: Memory, sizeLimit: 1Mi}"), (Medium::Memory, Some(1 << 20)));
    assert_eq!(source("{sizeLimit: 1k}"), (Medium::Disk, Some(1000)));
    assert_eq!(source("{sizeLimit: 0}"), (Medium::Disk, None));
}
