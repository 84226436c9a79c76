//! What is no YAML, or too much of it.

use super::{of_container, pod, told};
use crate::pod::Pod;

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
    assert!(told("---\n# x\n---\n~\n").contains("empty"));
    assert!(
        told("--- {}\n--- 2").contains("the manifest: the field apiVersion is missing (line 1")
    );
    assert!(told(&format!("{}1", "[".repeat(200))).contains("nested too deep"));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
    }
    assert!(told(&bomb).contains("with its aliases written out"));
}

/// As kubectl has it.
#[test]
fn empty_documents_are_passed_over() {
    let pod = of_container("");
    for text in [format!("{pod}---\n"), format!("---\n# a comment\n---\n{pod}...\n---\nnull\n")] {
        assert_eq!(Pod::read(&text).unwrap().name, "test", "{text}");
    }
}

/// Of an anchor in one document another one knows nothing.
#[test]
fn an_anchor_ends_with_its_document() {
    assert!(
        told(&format!("--- &a\n---\n{}", pod("  hostname: *a")))
            .contains("no such anchor before it")
    );
}

#[test]
fn a_boolean_or_a_number_is_no_text() {
    for word in ["y", "N", "yes", "No", "ON", "off", "True", "false"] {
        let told = told(&of_container(&format!("    env: [{{name: A, value: {word}}}]\n")));
        let what = format!("env[0].value: it is a boolean, not a text (quote it: \"{word}\")");
        assert!(told.contains(&what), "{told}");
        let told = super::told(&of_container(&format!("    command: [echo, {word}]\n")));
        assert!(told.contains("command[1]: it is a boolean, not a text"), "{told}");
    }
    for word in ["1", "01000", "0x1f", "1e3", "1_000", ".5"] {
        let told = told(&of_container(&format!("    args: [{word}]\n")));
        assert!(told.contains("args[0]: it is a number, not a text"), "{told}");
    }
    for word in ["'y'", "\"1\"", "!!str 1", "! 1", "yEs", "1:30", "2020-01-01", "0o8", "1.2.3", "t"]
    {
        let read = Pod::read(&of_container(&format!("    args: [{word}]\n")));
        assert!(read.is_ok(), "{word}: {read:?}");
    }
    for (word, is_true) in [("y", true), ("ON", true), ("n", false), ("Off", false)] {
        let text = of_container(&format!("  shareProcessNamespace: {word}\n"));
        assert_eq!(Pod::read(&text).unwrap().share_process_namespace, is_true, "{word}");
    }
    let told = told(&of_container("  shareProcessNamespace: 'true'\n"));
    assert!(told.contains("it is a text, not true or false"), "{told}");
}

#[test]
fn a_number_is_that_of_kubernetes() {
    for (word, number) in [
        ("1000", 1000),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1000.0", 1000),
        ("0x10", 16),
        ("0o17", 15),
        ("0b11", 3),
        ("+7", 7),
        ("07", 7),
        ("09", 9),
        ("!!int '12'", 12),
    ] {
        let text = of_container(&format!("    securityContext: {{runAsUser: {word}}}\n"));
        let user = Pod::read(&text).unwrap().containers[0].security_context.run_as_user;
        assert_eq!(user, Some(number), "{word}");
    }
    for (word, what) in [
        ("01000", "runAsUser: to Kubernetes 01000 is octal, the number 512 (write 1000, or 512 if"),
        ("0755", "0755 is octal, the number 493 (write 755, or 493 if that is what you mean)"),
        ("-010", "-010 is octal, the number -8 (write -10, or -8 if"),
        ("1.5", "runAsUser: it is not an integer"),
        ("1:30", "runAsUser: it is a text, not an integer"),
        ("2020-01-01", "runAsUser: it is a text, not an integer"),
        ("99999999999999999999", "100000000000000000000 is not between 0 and"),
        (
            ".inf",
            ".inf is no value to Kubernetes, which makes JSON of YAML (quote it: \".inf\") (l",
        ),
        ("!!int x", "\"x\" is no !!int (line 9, column 34)"),
        ("!!bool 1", "\"1\" is no !!bool"),
        ("!!binary MQ==", "a !!binary is not supported here"),
    ] {
        let told = told(&of_container(&format!("    securityContext: {{runAsUser: {word}}}\n")));
        assert!(told.contains(what), "{word}: {told}");
    }
    for (word, memory) in
        [("0x4000000", 64 << 20), ("64_000_000", 64_000_000), ("64e6", 64_000_000)]
    {
        let text = of_container(&format!("    resources: {{limits: {{memory: {word}}}}}\n"));
        assert_eq!(Pod::read(&text).unwrap().containers[0].resources.limits.memory, Some(memory));
    }
    let told = told(&of_container("    resources: {limits: {cpu: 010}}\n"));
    assert!(told.contains("limits.cpu: to Kubernetes 010 is octal, the number 8"), "{told}");
}

#[test]
fn a_merge_key_merges() {
    let text =
        pod("  containers:\n  - &a {name: a, image: busybox, args: [x]}\n  - <<: *a\n    name: \
                    b\n  - {<<: [{image: c}, *a], name: c}\n  - {<<: *a, name: d, args: }\n");
    let pod = Pod::read(&text).unwrap();
    let args: Vec<_> = pod.containers.iter().map(|it| it.args.as_deref()).collect();
    let x = ["x".to_owned()];
    assert_eq!(args, [Some(&x[..]), Some(&x), Some(&x), None]);
    let images: Vec<_> = pod.containers.iter().map(|it| it.image.name()).collect();
    assert_eq!(images, ["busybox", "busybox", "c", "busybox"]);
    for (merged, what) in [
        ("{<<: 1}", "<< merges a mapping, or a list of them (line 7, column 10)"),
        ("{<<: [{}, 1]}", "<< merges a mapping"),
        ("{<<: }", "<< merges a mapping"),
        (
            "{name: b, <<: {name: c}}",
            "<< has \"name\", which stands before it: to Kubernetes the l",
        ),
        ("{<<: {name: c}, <<: {name: b}}", "<< has \"name\", which stands before it"),
        ("{'<<': {name: c}}", "spec.containers[0].<<: no such field"),
        ("{<<: {nmae: c}}", "spec.containers[0].nmae"),
    ] {
        let told = told(&super::pod(&format!("  containers:\n  - {merged}\n")));
        assert!(told.contains(what), "{merged}: {told}");
    }
}
