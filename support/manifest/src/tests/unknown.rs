//! Fields that are not supported here.

use super::{of_container, pod, told};

/// Who brings a manifest from elsewhere is told at once what is not understood here.
#[test]
fn all_unknown_fields_are_told_at_once() {
    let text = of_container(
        "    livenessProbe:\n      httpGet: {path: /, port: 80}\n    ports:\n    - {containerPort: \
         80, protocol: TCP}\n  restartpolicy: Never\n  hostname: web\n",
    );
    let text = text.replace("name: test", "name: test\n  labels: {app: web}") + "status: {}\n";
    assert_eq!(
        told(&text),
        "5 fields are not supported here: metadata.labels (line 5), \
         spec.containers[0].livenessProbe (line 10), spec.containers[0].ports[0].protocol (line \
         13), spec.restartpolicy (line 14, did you mean restartPolicy?), status (line 16)"
    );
}

/// A value that cannot be read, too, of which the first is enough.
#[test]
fn a_wrong_value_is_told_beside_unknown_fields() {
    let text = of_container("    tty: true\n    args: [1]\n    env: [{nmae: A}]\n");
    assert_eq!(
        told(&text),
        "2 fields are not supported here: spec.containers[0].tty (line 9), \
         spec.containers[0].env[0].nmae (line 11, did you mean name?); and \
         spec.containers[0].args[0]: it is a number, not a text (quote it: \"1\") (line 10, \
         column 12)"
    );
    // Of another kind of object nothing is known here.
    let text = pod("  replicas: 2\n").replace("Pod", "Deployment");
    assert_eq!(
        told(&text),
        "kind: it is \"Deployment\"; only \"Pod\" can be run here (line 2, column 7)"
    );
}

#[test]
fn one_unknown_field_is_told_with_the_field_that_was_meant() {
    for (field, told_of) in [
        ("restartpolicy", "here: did you mean restartPolicy? (line 9, column 3)"),
        ("Hostname", "here: did you mean hostname? (line 9, column 3)"),
        ("volume", "here: did you mean volumes? (line 9, column 3)"),
        ("hsotname", "here: did you mean hostname? (line 9, column 3)"),
        ("tolerations", "here (known: hostname, shareProcessNamespace, restartPolicy, "),
    ] {
        let told = told(&of_container(&format!("  {field}: x\n")));
        let start = format!("spec.{field}: no such field is supported {told_of}");
        assert!(told.starts_with(&start), "{told}\ninstead of\n{start}");
    }
    let told = told(&of_container("  volumes: [{name: v, emptyDir: {path: /x}}]\n"));
    assert!(told.contains("emptyDir.path: no such field is supported here (known: medium, size"));
}

/// The line does not grow with the file.
#[test]
fn of_very_many_unknown_fields_the_first_are_told() {
    let many: String = (0..30).map(|number| format!("    key{number}: a\n")).collect();
    let told = told(&of_container(&many));
    assert!(told.starts_with("30 fields are not supported here: spec.containers[0].key0 (line 9)"));
    assert!(told.ends_with("spec.containers[0].key19 (line 28), and 10 more"), "{told}");
}
