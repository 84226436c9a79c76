//! Which name is meant by one that is none: for the door, and for the tools behind it.

/// The name that is meant by one with a few mistakes, or by a part that no other name has.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let near = names.clone().map(|name| (mistakes(typed, name), name));
    // With more, any short name would be any other.
    let near = near.filter(|(mistakes, name)| *mistakes <= name.len() / 3).min();
    near.map(|(_, name)| name).or_else(|| {
        let mut with_part = names.filter(|name| name.contains(typed));
        with_part.next().filter(|_| with_part.next().is_none())
    })
}

/// How many letters have to be put in, taken out or changed to make the second word of the first.
fn mistakes(typed: &str, meant: &str) -> usize {
    // How many for what was typed so far, and for each beginning of what is meant.
    let mut so_far: Vec<usize> = (0..=meant.chars().count()).collect();
    for (index, letter) in typed.chars().enumerate() {
        let mut next = vec![index + 1];
        for (place, wanted) in meant.chars().enumerate() {
            let changed = so_far[place] + usize::from(letter != wanted);
            next.push(changed.min(so_far[place + 1] + 1).min(next[place] + 1));
        }
        so_far = next;
    }
    so_far[meant.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_enough_if_no_other_name_has_it() {
        let nearest = |typed| nearest(typed, ["v3-pidns", "v5-netns", "v7-overlay"].into_iter());
        assert_eq!(
            ["v3", "over", "pidns"].map(nearest).map(Option::unwrap_or_default),
            ["v3-pidns", "v7-overlay", "v3-pidns"]
        );
        assert_eq!(["", "ns", "v9", "none"].map(nearest), [None; 4]);
    }
}
