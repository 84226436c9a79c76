//! Files with several objects, and with what makes pods.

use super::of_container;
use crate::pod::RestartPolicy;
use crate::{Manifest, Wanted};

fn read(text: &str, wanted: &Wanted) -> Manifest {
    Manifest::read(text, wanted).unwrap_or_else(|error| panic!("{error:#}\n{text}"))
}

#[track_caller]
fn refused(text: &str, wanted: &Wanted, what: &str) {
    let told = Manifest::read(text, wanted).unwrap_err();
    let told = launcher::command_line::one_line(&told);
    assert!(told.contains(what), "{text}\nis refused with\n{told}\nnot with\n{what}");
}

fn object(kind: &str, version: &str, more: &str) -> String {
    format!("---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: web}}\n{more}")
}

/// Of this kind, with a template of a pod.
fn maker(kind: &str, version: &str, spec: &str) -> String {
    let template = "template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      \
                    - {name: a, image: busybox}\n";
    object(kind, version, &format!("spec:\n  {template}{spec}"))
}

#[test]
fn the_pod_is_run_and_what_is_beside_it_is_told() {
    let service = object("Service", "v1", "spec: {ports: [{port: 80}]}\n");
    let text = format!("{service}---\n{}{}", of_container(""), maker("Deployment", "apps/v1", ""));
    let manifest = read(&text, &Wanted::Pod);
    assert_eq!(manifest.pod.name, "test");
    assert_eq!(
        manifest.notes,
        [
            "only the Pod \"test\" (line 7) is run, not Service \"web\" (line 2), Deployment \"web\" \
          (line 16) (a Deployment makes pods: its template is one, run it with --template)"
        ]
    );
    let two = format!("{}---\n{}", of_container(""), of_container("").replace("test", "second"));
    let manifest = read(&two, &Wanted::Pod);
    let told = "only the Pod \"test\" (line 1) is run, not Pod \"second\" (line 10)";
    assert_eq!((&*manifest.pod.name, &*manifest.notes), ("test", &[told.to_owned()][..]));
    let many = of_container("") + &service.repeat(12);
    let notes = read(&many, &Wanted::Pod).notes;
    assert!(notes[0].ends_with("(line 55), and 2 more"), "{notes:?}");
}

#[test]
fn a_list_is_what_is_in_it() {
    let indented = of_container("").replace('\n', "\n  ");
    let text = format!("apiVersion: v1\nkind: List\nitems:\n- {indented}");
    assert_eq!(read(&text, &Wanted::Pod).pod.name, "test");
    let empty = "apiVersion: v1\nkind: List\nitems: []\n";
    refused(empty, &Wanted::Pod, "it is empty");
    refused(
        &text.replace("image", "imgae"),
        &Wanted::Pod,
        "items[0].spec.containers[0].imgae: no such",
    );
}

#[test]
fn a_file_without_a_pod_says_what_it_has() {
    let service = object("Service", "v1", "");
    refused(&service, &Wanted::Pod, "it has no Pod, but Service \"web\" (line 2)");
    let text = service + &maker("Job", "batch/v1", "");
    let what = "it has no Pod, but Service \"web\" (line 2), Job \"web\" (line 6) (a Job makes pods: \
                its template is one, run it with --template)";
    refused(&text, &Wanted::Pod, what);
    refused(&object("ConfigMap", "v1", ""), &Wanted::Pod, "it has no Pod, but ConfigMap \"web\"");
    refused("[]", &Wanted::Pod, "the manifest: it is a list, not a mapping");
    refused("kind: Pod", &Wanted::Pod, "the field apiVersion is missing");
}

#[test]
fn the_template_of_what_makes_pods_is_a_pod() {
    for (kind, version, name) in [
        ("DaemonSet", "apps/v1", "web"),
        ("Deployment", "apps/v1", "web"),
        ("ReplicaSet", "apps/v1", "web"),
        ("ReplicationController", "v1", "web"),
        ("StatefulSet", "apps/v1", "web-0"),
    ] {
        let text = maker(kind, version, "  replicas: 3\n  paused:\n");
        let manifest = read(&text, &Wanted::Template);
        assert_eq!((&*manifest.pod.name, &*manifest.pod.hostname), (name, name));
        assert_eq!(manifest.pod.restart_policy, RestartPolicy::Always);
        let told = "for one pod on this machine these fields change nothing: \
                    spec.template.metadata.labels, spec.replicas";
        assert_eq!(manifest.notes, [told]);
        let old = maker(kind, "extensions/v1beta1", "");
        let what =
            format!("apiVersion: it is \"extensions/v1beta1\"; only {version:?} has a {kind}");
        refused(&old, &Wanted::Template, &what);
        let ends = maker(kind, version, "      restartPolicy: Never\n");
        refused(&ends, &Wanted::Template, "spec.template: its restartPolicy is Never, and to a ");
    }
    let job = maker("Job", "batch/v1", "      restartPolicy: OnFailure\n  backoffLimit: 4\n");
    assert_eq!(read(&job, &Wanted::Template).pod.restart_policy, RestartPolicy::OnFailure);
    let always = maker("Job", "batch/v1", "");
    let what = "its restartPolicy is Always, and to a Job it can only be OnFailure or Never";
    refused(&always, &Wanted::Template, what);
    let cron = "spec:\n  schedule: '* * * * *'\n  jobTemplate: {spec: {template: {spec: \
                {restartPolicy: Never, containers: [{name: a, image: busybox}]}}}}\n";
    let cron = object("CronJob", "batch/v1", cron);
    let manifest = read(&cron, &Wanted::Template);
    assert_eq!(manifest.pod.restart_policy, RestartPolicy::Never);
    assert!(manifest.notes[0].ends_with("change nothing: spec.schedule"), "{manifest:?}");
}

#[test]
fn what_is_wrong_with_a_template_is_told_with_its_place() {
    let no_template = object("Deployment", "apps/v1", "spec: {replicas: 1}\n");
    refused(
        &no_template,
        &Wanted::Template,
        "spec: the field template is missing (line 5, column 7)",
    );
    let wrong = maker("Deployment", "apps/v1", "").replace("image", "imgae");
    let what = "spec.template.spec.containers[0].imgae: no such field is supported here: did you mean \
                image? (container \"a\", line 10, column 19)";
    refused(&wrong, &Wanted::Template, what);
    let unnamed = maker("Deployment", "apps/v1", "").replace("{name: web}", "{}");
    refused(&unnamed, &Wanted::Template, "metadata: the field name is missing");
    let misnamed = maker("Deployment", "apps/v1", "").replace("{name: web}", "{name: Web}");
    refused(&misnamed, &Wanted::Template, "metadata.name: \"Web\" is no name");
}

#[test]
fn of_several_templates_one_is_chosen_by_its_name() {
    let second = maker("StatefulSet", "apps/v1", "").replace("web", "db");
    let text = maker("Deployment", "apps/v1", "") + &second + &object("Service", "v1", "");
    let what = "it has Deployment \"web\" (line 2), StatefulSet \"db\" (line 12): say whose template \
                to run, with --template=NAME";
    refused(&text, &Wanted::Template, what);
    let manifest = read(&text, &Wanted::TemplateOf("db".into()));
    assert_eq!(manifest.pod.name, "db-0");
    assert!(manifest.notes[0].starts_with("only the StatefulSet \"db\" (line 12) is run, not D"));
    let none = Wanted::TemplateOf("cache".into());
    refused(&text, &none, "no template of a pod in an object \"cache\", but Deployment \"web\"");
    let no_maker = of_container("");
    refused(&no_maker, &Wanted::Template, "nothing with the template of a pod, but Pod \"test\"");
}

#[test]
fn config_maps_and_secrets_are_kept() {
    let map =
        object("ConfigMap", "v1", "data: {a: 'x', b.conf: \"y\\n\"}\nbinaryData: {c: AAE=}\n");
    let more = "type: Opaque\nimmutable: true\ndata: {a: eA==, b: eQ==}\nstringData: {b: z}\n";
    let text = map + "---\n" + &of_container("") + &object("Secret", "v1", more);
    let manifest = read(&text, &Wanted::Pod);
    assert!(manifest.notes.is_empty(), "{manifest:?}");
    let map = &manifest.config_maps[0];
    assert_eq!((&*map.name, &*map.data["a"], &*map.data["b.conf"]), ("web", "x", "y\n"));
    assert_eq!(map.binary_data["c"], [0, 1]);
    let secret = &manifest.secrets[0];
    assert_eq!((&*secret.data["a"], &*secret.data["b"]), (&b"x"[..], &b"z"[..]));
}

#[test]
fn what_is_wrong_with_a_config_map_or_secret_is_told() {
    for (kind, more, what) in [
        (
            "ConfigMap",
            "data: {a: 1}",
            "data.a: it is a number, not a text (quote it: \"1\") (line 13",
        ),
        ("ConfigMap", "data: {a: yes}", "data.a: it is a boolean, not a text"),
        ("ConfigMap", "data: {y: x}", "data.y: it is a boolean, not a text (quote it: \"y\")"),
        ("ConfigMap", "data: {a/b: x}", "data.a/b: \"a/b\" is no key"),
        ("ConfigMap", "data: {..: x}", "data...: \"..\" is no key"),
        ("ConfigMap", "data: {a: x, a: y}", "data.a: it is there twice"),
        ("ConfigMap", "data: []", "data: it is a list, not a mapping"),
        (
            "ConfigMap",
            "data: {a: x}\nbinaryData: {a: eA==}",
            "\"a\" is in its data and in its binaryData",
        ),
        ("ConfigMap", "binaryData: {a: x}", "binaryData.a: it is no base64"),
        ("ConfigMap", "stringData: {a: x}", "stringData: no such field"),
        ("Secret", "data: {a: pass word}", "it is no base64 (of a Secret, stringData takes a text"),
        ("Secret", "type: 1", "type: it is a number, not a text"),
    ] {
        let text = of_container("") + &object(kind, "v1", &format!("{more}\n"));
        refused(&text, &Wanted::Pod, what);
    }
    let text = of_container("") + &object("Secret", "v1", "").repeat(2);
    refused(&text, &Wanted::Pod, "two Secrets have the name \"web\" (line 14");
    let large = format!("data: {{a: {}, b: {0}}}\n", "x".repeat(600_000));
    let text = of_container("") + &object("ConfigMap", "v1", &large);
    refused(&text, &Wanted::Pod, "the manifest: it has more than 1 MiB");
    let text = of_container("") + &object("ConfigMap", "v2", "");
    refused(&text, &Wanted::Pod, "apiVersion: it is \"v2\"; only \"v1\" has a ConfigMap");
}
