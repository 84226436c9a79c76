//! Which users and groups a process knows (user_namespaces(7)).

use anyhow::{Context, Result};

use super::process::{Directory, Status};

/// The number of ids there are, but for the last, which means none.
const ALL: u32 = u32::MAX;

/// Its user and group as we see them, and the maps of its user namespace.
pub(super) fn list(process: &Directory, status: &Status) -> Result<Vec<String>> {
    // Real, effective, saved and file system id; the effective is the one that counts.
    let effective = |name| status.numbers(name).get(1).map_or("?".into(), u32::to_string);
    let mut lines =
        vec![format!("uid {}, gid {} as seen here", effective("Uid"), effective("Gid"))];
    for (name, file) in [("users", "uid_map"), ("groups", "gid_map")] {
        let map = process.text(file).with_context(|| process.reading(file))?;
        lines.push(format!("{name}: {}", describe(&map)));
    }
    Ok(lines)
}

/// Each line: first id inside, first id outside, count. "Outside" is the reader's user namespace,
/// or its parent if the process is in the same.
fn describe(map: &str) -> String {
    let range = |line: &str| {
        let numbers: Vec<u32> = line.split_whitespace().flat_map(str::parse).collect();
        let [inside, outside, count] = numbers[..] else { return line.trim().to_owned() };
        match (inside, outside, count) {
            (0, 0, ALL) => "all, with the same number outside".to_owned(),
            (_, ALL, _) => format!("{} unknown outside", ids(inside, count)),
            _ => format!("{} inside = {} outside", ids(inside, count), ids(outside, count)),
        }
    };
    let ranges: Vec<_> = map.lines().map(range).collect();
    if ranges.is_empty() { "no map: all are nobody".to_owned() } else { ranges.join(", ") }
}

fn ids(first: u32, count: u32) -> String {
    match count {
        1 => first.to_string(),
        _ => format!("{first}-{}", first.saturating_add(count - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_maps() {
        assert_eq!(
            describe("         0          0 4294967295\n"),
            "all, with the same number outside"
        );
        let map = "         0       1000          1\n         1     100000      65536\n";
        let expected = "0 inside = 1000 outside, 1-65536 inside = 100000-165535 outside";
        assert_eq!(describe(map), expected);
        assert_eq!(describe("0 4294967295 1"), "0 unknown outside");
        assert_eq!(describe(""), "no map: all are nobody");
    }
}
