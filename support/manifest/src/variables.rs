//! Variables of the environment, and what `$(NAME)` in a text stands for.

use crate::limits::MAX_SIZE;
use std::collections::HashMap;

/// How many bytes the expanded texts of a pod may still have: a variable that has another one in it
/// twice doubles it, and thirty of them in a row make gigabytes of a few lines.
pub(crate) struct Room(usize);

impl Room {
    /// As much as a manifest may have.
    pub(crate) fn of_a_pod() -> Room {
        Room(MAX_SIZE)
    }

    fn append(&mut self, to: &mut String, text: &str) -> Result<(), String> {
        let left = self.0.checked_sub(text.len());
        self.0 = left.ok_or_else(|| {
            format!(
                "with every $(NAME) expanded, the texts of the pod have more than {MAX_SIZE} bytes"
            )
        })?;
        to.push_str(text);
        Ok(())
    }
}

/// The variables of a container, expanded.
#[derive(Default)]
pub(crate) struct Variables {
    values: HashMap<String, String>,
    /// In the order of the manifest, each as often as it is there.
    names: Vec<String>,
}

impl Variables {
    /// A variable sees those before it; the last of several with one name counts.
    pub(crate) fn expand(
        variables: Vec<(String, String)>,
        room: &mut Room,
    ) -> Result<Variables, String> {
        let mut expanded = Variables::default();
        for (name, value) in variables {
            let value = expanded.put_into(&value, room)?;
            expanded.names.push(name.clone());
            expanded.values.insert(name, value);
        }
        Ok(expanded)
    }

    /// Puts the value of a variable in place of `$(NAME)`. An unknown one stays as it is, and `$$`
    /// is one `$`: so `$$(NAME)` is `$(NAME)`.
    pub(crate) fn put_into(&self, text: &str, room: &mut Room) -> Result<String, String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            room.append(&mut result, before)?;
            let variable = after.strip_prefix('(').and_then(|after| after.split_once(')'));
            let Some((name, after)) = variable else {
                room.append(&mut result, "$")?;
                rest = after.strip_prefix('$').unwrap_or(after);
                continue;
            };
            match self.values.get(name) {
                Some(value) => room.append(&mut result, value)?,
                None => room.append(&mut result, &format!("$({name})"))?,
            }
            rest = after;
        }
        room.append(&mut result, rest)?;
        Ok(result)
    }

    /// Names and values, each name once.
    pub(crate) fn into_list(mut self) -> Vec<(String, String)> {
        let from_the_last = self.names.iter().rev();
        let mut list: Vec<_> =
            from_the_last.filter_map(|name| self.values.remove_entry(name)).collect();
        list.reverse();
        list
    }
}
