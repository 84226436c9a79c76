//! What is no YAML, or too much of it.

use super::told;

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
