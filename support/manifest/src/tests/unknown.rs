//! Fields that are not supported here.

use super::{of_container, pod, told};

/// Who brings a manifest from elsewhere is told at once what is not understood here.
#[test]
fn all_unknown_fields_are_told_at_once() {
    let text = of_container(
        "    livenessProbe:\n      httpGet: {path: /, port: 80}\n    ports:\n    - {containerPort: \
         80, appProtocol: TCP}\n  restartpolicy: Never\n  hostname: web\n",
    );
    let text = text.replace("name: test", "name: test\n  label: {app: web}") + "state: {}\n";
    assert_eq!(
        told(&text),
        "5 fields are not supported here: metadata.label (line 5, column 3, did you mean labels?), \
         spec.containers[0].livenessProbe (container \"a\", line 10, column 5), \
         spec.containers[0].ports[0].appProtocol (container \"a\", line 13, column 27), \
         spec.restartpolicy (line 14, column 3, did you mean restartPolicy?), state (line 16, \
         column 1)"
    );
}

/// All values that cannot be read, too, in the order of the file.
#[test]
fn all_wrong_values_are_told_beside_unknown_fields() {
    let text = of_container(
        "    tty: true\n    args: [1]\n    env: [{nmae: A}]\n    command: sh\n  hostname: a.b\n",
    );
    assert_eq!(
        told(&text),
        "2 fields are not supported here: spec.containers[0].tty (container \"a\", line 9, column \
         5), spec.containers[0].env[0].nmae (container \"a\", line 11, column 12, did you mean \
         name?); and spec.containers[0].args[0]: it is a number, not a text (quote it: \"1\") \
         (container \"a\", line 10, column 12); spec.containers[0].env[0]: the field name is \
         missing (container \"a\", line 11, column 11); spec.containers[0].command: it is a text, \
         not a list (container \"a\", line 12, column 14); spec.hostname: \"a.b\" is no name: \
         small letters, digits and - (not first, not last) (line 13, column 13)"
    );
    // Of another kind of object nothing is known here.
    let text = pod("  replicas: 2\n").replace("Pod", "Deployment");
    assert_eq!(
        told(&text),
        "it has no Pod, but Deployment \"test\" (line 1) (a Deployment makes pods: its template is \
         one, run it with --template)"
    );
}

#[test]
fn one_unknown_field_is_told_with_the_field_that_was_meant() {
    for (field, told_of) in [
        ("restartpolicy", "here: did you mean restartPolicy? (line 9, column 3)"),
        ("Hostname", "here: did you mean hostname? (line 9, column 3)"),
        ("volume", "here: did you mean volumes? (line 9, column 3)"),
        ("hsotname", "here: did you mean hostname? (line 9, column 3)"),
        ("toleration", "here: did you mean tolerations? (line 9, column 3)"),
        (
            "ephemeralContainers",
            "here (known: os, securityContext, hostname, shareProcessNamespace, ",
        ),
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
    let start =
        "30 fields are not supported here: spec.containers[0].key0 (container \"a\", line 9, ";
    assert!(told.starts_with(start), "{told}");
    let end = "spec.containers[0].key19 (container \"a\", line 28, column 5), and 10 more";
    assert!(told.ends_with(end), "{told}");
}

#[test]
fn of_very_many_wrong_values_the_first_are_told() {
    let told = told(&of_container(&format!("    args: [{}]\n", "1, ".repeat(2000))));
    assert_eq!(told.matches("it is a number").count(), 20, "{told}");
    assert!(told.ends_with("; and 1980 more"), "{told}");
}

/// What the API server has no field for is told whatever its value is, as it does
/// (`kubectl --validate=strict`).
#[test]
fn an_unknown_field_that_is_null_is_told() {
    let told = told(&of_container("    comand:\n  restartpolicy: null\n"));
    assert_eq!(
        told,
        "2 fields are not supported here: spec.containers[0].comand (container \"a\", line 9, \
         column 5, did you mean command?), spec.restartpolicy (line 10, column 3, did you mean \
         restartPolicy?)"
    );
    crate::pod::Pod::read(&of_container("    command:\n  hostname: ~\n")).unwrap();
}
