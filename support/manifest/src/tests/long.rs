//! What a short text can stand for.

use super::{of_container, pod, told};
use std::time::Duration;

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
