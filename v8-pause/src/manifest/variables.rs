//! Variables of the environment, and what `$(NAME)` in a text stands for.

/// A variable sees those before it; the last of several with one name counts.
pub(super) fn expand_all(variables: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut expanded: Vec<(String, String)> = Vec::new();
    for (name, value) in variables {
        let value = expand(&value, &expanded);
        expanded.retain(|(other, _)| *other != name);
        expanded.push((name, value));
    }
    expanded
}

/// Puts the value of a variable in place of `$(NAME)`. An unknown one stays as it is, and `$$` is
/// one `$`: so `$$(NAME)` is `$(NAME)`.
pub(super) fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result += before;
        let variable = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        let Some((name, after)) = variable else {
            result.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
            continue;
        };
        match variables.iter().find(|(other, _)| other == name) {
            Some((_, value)) => result += value,
            None => result += &format!("$({name})"),
        }
        rest = after;
    }
    result + rest
}
