//! The shape of the sources: which crate stands on which, which file uses which, how long they are.
//!
//! Arrows point down only. So each part can be read, copied and changed with what stands below it
//! in mind, and nothing else.

mod arrows;
mod modules;
mod tokens;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use arrows::Arrows;
use modules::Files;

/// A source file of a step has fewer lines.
pub const TOO_LONG: usize = 300;

/// A crate of the workspace.
pub struct Crate {
    /// Where it is in the workspace: `support/launcher`.
    pub directory: String,
    name: String,
    dependencies: BTreeSet<String>,
    files: Files,
}

/// Files of which each uses each other, directly or not.
pub struct Circle {
    /// `DIRECTORY: FILE FILE...`, as a list of known circles has it.
    pub name: String,
    /// Who uses what of whom.
    pub arrows: Vec<String>,
}

impl Crate {
    /// All members of the workspace, in the order of Cargo.toml.
    pub fn read_all(workspace: &Path) -> Result<Vec<Crate>> {
        let manifest = read(&workspace.join("Cargo.toml"))?;
        members(&manifest).map(|directory| Crate::read(workspace, directory)).collect()
    }

    fn read(workspace: &Path, directory: &str) -> Result<Crate> {
        let root = workspace.join(directory);
        let manifest = read(&root.join("Cargo.toml"))?;
        let name = name(&manifest).with_context(|| format!("{directory} has no name"))?.to_owned();
        let dependencies = dependencies(&manifest).map(str::to_owned).collect();
        let mut files = Files::new();
        read_below(&root.join("src"), Path::new(""), &mut files)?;
        Ok(Crate { directory: directory.to_owned(), name, dependencies, files })
    }

    /// A step's number.
    pub fn step(&self) -> Option<u32> {
        let (number, _) = self.directory.strip_prefix('v')?.split_once('-')?;
        number.parse().ok()
    }

    /// Its source files: their paths below `src`, and their text.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().map(|(file, text)| (file.as_path(), text.as_str()))
    }

    /// The lines of all its source files, with their paths below the workspace.
    fn lengths(&self) -> impl Iterator<Item = (String, usize)> {
        let path = |file: &Path| format!("{}/src/{}", self.directory, file.display());
        self.files().map(move |(file, text)| (path(file), text.lines().count()))
    }

    /// The circles of its files.
    pub fn circles(&self) -> Result<Vec<Circle>> {
        let modules = modules::modules(&self.files).with_context(|| self.directory.clone())?;
        let arrows = arrows::arrows(&modules, &self.name.replace('-', "_"));
        let circles = arrows::circles(&arrows);
        Ok(circles.iter().map(|files| Circle::of(&self.directory, files, &arrows)).collect())
    }
}

impl Circle {
    fn of(directory: &str, files: &BTreeSet<PathBuf>, arrows: &Arrows<PathBuf>) -> Circle {
        let inside =
            arrows.iter().filter(|((from, to), _)| files.contains(from) && files.contains(to));
        let arrow = |((from, to), names): (&(PathBuf, PathBuf), &BTreeSet<String>)| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("{} -> {}: {}", from.display(), to.display(), names.join(", "))
        };
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let name = format!("{directory}: {}", files.join(" "));
        Circle { name, arrows: inside.map(arrow).collect() }
    }
}

/// All that is wrong with the arrows of the workspace, one line each. The lists have what is known
/// to be wrong, one a line: they may only become shorter.
pub fn problems(crates: &[Crate], known_circles: &str, known_long: &str) -> Result<Vec<String>> {
    let mut found = problems_of_dependencies(crates);
    let mut circles = BTreeSet::new();
    for circle in crates.iter().map(Crate::circles).collect::<Result<Vec<_>>>()?.iter().flatten() {
        if !entries(known_circles).any(|known| known == circle.name) {
            found.push(format!("a circle in {}", circle.name));
            found.extend(circle.arrows.iter().map(|arrow| format!("    {arrow}")));
        }
        circles.insert(circle.name.clone());
    }
    let gone = entries(known_circles).filter(|known| !circles.contains(*known));
    found.extend(gone.map(|known| format!("no longer a circle, take it off the list: {known}")));
    let steps = crates.iter().filter(|it| it.step().is_some());
    let long: Vec<_> =
        steps.flat_map(Crate::lengths).filter(|(_, length)| *length >= TOO_LONG).collect();
    for (file, length) in &long {
        if !entries(known_long).any(|known| known == file) {
            found.push(format!("{file} has {length} lines, and {TOO_LONG} are too many"));
        }
    }
    let is_long = |known: &&str| long.iter().any(|(file, _)| file == known);
    let gone = entries(known_long).filter(|known| !is_long(known));
    found.extend(gone.map(|known| format!("not too long any more, take it off the list: {known}")));
    Ok(found)
}

/// The lines of a list that are no comments.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// A step stands on the steps below it, what is in `support/` on no step; the workshop on all.
fn problems_of_dependencies(crates: &[Crate]) -> Vec<String> {
    let mut arrows = Arrows::new();
    let mut found = Vec::new();
    for from in crates {
        let uses = crates.iter().filter(|to| from.dependencies.contains(&to.name));
        for to in uses {
            if to.floor() > from.floor() {
                found.push(format!("{} must not depend on {}", from.directory, to.directory));
            }
            arrows.insert((from.directory.as_str(), to.directory.as_str()), BTreeSet::new());
        }
    }
    let circles = arrows::circles(&arrows);
    found.extend(circles.iter().map(|circle| format!("a circle of crates: {circle:?}")));
    found
}

impl Crate {
    /// No dependency leads to a higher one.
    fn floor(&self) -> u32 {
        let is_support = self.directory.starts_with("support/");
        self.step().unwrap_or(if is_support { 0 } else { u32::MAX })
    }
}

/// The directories in `members = [..]`.
fn members(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines().skip_while(|line| *line != "members = [").skip(1);
    let lines = lines.take_while(|line| *line != "]");
    lines.map(|line| line.trim_matches([' ', '"', ',']))
}

fn name(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
}

/// What it depends on, to be built or to be tested.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    manifest.lines().filter_map(move |line| {
        if let Some(section) = line.strip_prefix('[') {
            is_inside = section.ends_with("dependencies]");
            return None;
        }
        let end = line.find(|c: char| !c.is_alphanumeric() && !['-', '_'].contains(&c))?;
        (is_inside && end > 0).then(|| &line[..end])
    })
}

/// Adds the Rust files of `root` below the directory `below`.
fn read_below(root: &Path, below: &Path, files: &mut Files) -> Result<()> {
    let directory = root.join(below);
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {directory:?}"))?;
    for entry in entries {
        let path = below.join(entry?.file_name());
        if root.join(&path).is_dir() {
            read_below(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&root.join(&path))?;
            files.insert(path, text);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate with a library that has two modules.
    fn crate_of(directory: &str, manifest: &str, a: &str, b: &str) -> Crate {
        let files = [("lib.rs", "mod a;\nmod b;"), ("a.rs", a), ("b.rs", b)];
        Crate {
            directory: directory.to_owned(),
            name: directory.rsplit('/').next().unwrap().to_owned(),
            dependencies: dependencies(manifest).map(str::to_owned).collect(),
            files: files.map(|(file, text)| (file.into(), text.to_owned())).into(),
        }
    }

    #[test]
    fn the_list_of_circles_only_shrinks() {
        let step = |b| [crate_of("v1-x", "", "use crate::b::g;\npub fn f() {}", b)];
        let circle = step("pub fn g() { crate::a::f() }");
        let new = ["a circle in v1-x: a.rs b.rs", "    a.rs -> b.rs: g", "    b.rs -> a.rs: f"];
        assert_eq!(problems(&circle, "", "").unwrap(), new);
        let known = "# What is known\nv1-x: a.rs b.rs\n";
        assert_eq!(problems(&circle, known, "").unwrap(), [""; 0]);
        let gone = ["no longer a circle, take it off the list: v1-x: a.rs b.rs"];
        assert_eq!(problems(&step("pub fn g() {}"), known, "").unwrap(), gone);
    }

    #[test]
    fn the_list_of_long_files_only_shrinks() {
        let of = |directory, lines| [crate_of(directory, "", &"\n".repeat(lines), "")];
        let long = ["v1-x/src/a.rs has 300 lines, and 300 are too many"];
        assert_eq!(problems(&of("v1-x", 300), "", "").unwrap(), long);
        assert_eq!(problems(&of("v1-x", 300), "", "v1-x/src/a.rs").unwrap(), [""; 0]);
        assert_eq!(problems(&of("support/x", 300), "", "").unwrap(), [""; 0]);
        let gone = ["not too long any more, take it off the list: v1-x/src/a.rs"];
        assert_eq!(problems(&of("v1-x", 299), "", "v1-x/src/a.rs").unwrap(), gone);
    }

    #[test]
    fn no_dependency_leads_up() {
        let on = |name| {
            format!("[package]\nname = \"x\"\n[dev-dependencies]\n{name}.workspace = true\n")
        };
        let all = |of_support, of_v1, of_v2| {
            let of = [("support/s", of_support), ("v1-x", of_v1), ("v2-x", of_v2), ("w", "v2-x")];
            of.map(|(directory, name)| crate_of(directory, &on(name), "", ""))
        };
        assert_eq!(problems(&all("nix", "s", "v1-x"), "", "").unwrap(), [""; 0]);
        let wrong = ["support/s must not depend on v1-x"];
        assert_eq!(problems(&all("v1-x", "nix", "v1-x"), "", "").unwrap(), wrong);
        let wrong = ["v1-x must not depend on v2-x", "a circle of crates: {\"v1-x\", \"v2-x\"}"];
        assert_eq!(problems(&all("nix", "v2-x", "v1-x"), "", "").unwrap(), wrong);
        assert_eq!(problems(&all("nix", "w", "s"), "", "").unwrap().len(), 1);
    }

    #[test]
    fn a_manifest_is_read_by_its_lines() {
        let manifest = "[workspace]\nmembers = [\n    \"v1-x\",\n    \"a/b\",\n]\ndefault = [\n]\n";
        assert_eq!(members(manifest).collect::<Vec<_>>(), ["v1-x", "a/b"]);
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n\
                        b-c = { path = \"y\" }\n\
                        # d = 1\n[[test]]\nname = \"z\"\n";
        assert_eq!(name(manifest), Some("x"));
        assert_eq!(dependencies(manifest).collect::<Vec<_>>(), ["a", "b-c"]);
    }
}
