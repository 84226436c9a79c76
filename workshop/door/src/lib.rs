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
/// Two letters side by side in the wrong order are one mistake.
fn mistakes(typed: &str, meant: &str) -> usize {
    let [typed, meant] = [typed, meant].map(|word| word.chars().collect::<Vec<_>>());
    // How many for each beginning of what was typed, and each beginning of what is meant.
    let mut rows: Vec<Vec<usize>> = vec![(0..=meant.len()).collect()];
    for (index, letter) in typed.iter().enumerate() {
        let so_far = &rows[index];
        let mut next = vec![index + 1];
        for (place, wanted) in meant.iter().enumerate() {
            let changed = so_far[place] + usize::from(letter != wanted);
            let mut fewest = changed.min(so_far[place + 1] + 1).min(next[place] + 1);
            if index > 0 && place > 0 && [typed[index - 1], *letter] == [*wanted, meant[place - 1]]
            {
                fewest = fewest.min(rows[index - 1][place - 1] + 1);
            }
            next.push(fewest);
        }
        rows.push(next);
    }
    rows[typed.len()][meant.len()]
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

    #[test]
    fn two_letters_in_the_wrong_order_are_one_mistake() {
        for (typed, meant) in [("strat", "start"), ("tsart", "start"), ("xrya", "xray")] {
            assert_eq!(mistakes(typed, meant), 1, "{typed}");
        }
        assert_eq!(mistakes("ratst", "start"), 3, "not side by side");
        assert_eq!(mistakes("", "start"), 5);
    }
}
