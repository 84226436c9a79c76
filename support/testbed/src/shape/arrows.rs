//! Which file of a crate uses which, and where these arrows lead back to where they began.
//!
//! A path is an arrow. A method is none: whose it is, only the compiler knows. So a file that gives
//! a type of another file more methods (`impl super::Type`) stands above that one, and a call of
//! these methods down there is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::modules::Module;

/// From a file to another, with the names that it uses of it. (So too from a crate to another.)
pub(super) type Arrows<T> = BTreeMap<(T, T), BTreeSet<String>>;

/// An import may stand for another import. More than this is one that stands for itself.
const MAX_IMPORTS: usize = 8;

/// All arrows between the files of a crate. `library` is what its programs call its library.
pub(super) fn arrows(modules: &[Module], library: &str) -> Arrows<PathBuf> {
    let names = NamesOf { modules, library };
    let mut arrows = Arrows::new();
    for (number, module) in modules.iter().enumerate() {
        // What is passed on (`pub use`) is used by whoever asks for it here.
        let imports = module.imports.iter().filter(|import| !import.is_public);
        let paths = imports.map(|import| &import.path).chain(&module.paths);
        for target in paths.flat_map(|path| names.targets(number, path, 0)) {
            if let Target::Item(file, name) = target
                && *file != module.file
            {
                let arrow = (module.file.clone(), file.to_owned());
                arrows.entry(arrow).or_default().insert(name.to_owned());
            }
        }
    }
    arrows
}

/// The largest sets in which each is reached from each.
pub(super) fn circles<T: Ord + Clone>(arrows: &Arrows<T>) -> BTreeSet<BTreeSet<T>> {
    let mut next: BTreeMap<&T, Vec<&T>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        next.entry(from).or_default().push(to);
    }
    let reached_from = |start| {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(node) = open.pop() {
            open.extend(next.get(node).into_iter().flatten().filter(|it| reached.insert(**it)));
        }
        reached
    };
    let reached: BTreeMap<_, _> = next.keys().map(|node| (*node, reached_from(node))).collect();
    let is_reached = |from: &T, to: &T| reached.get(from).is_some_and(|all| all.contains(to));
    let in_circle = reached.keys().filter(|node| is_reached(node, node));
    let circle_of = |node: &&T| {
        let circle = reached[*node].iter().filter(|other| is_reached(other, node));
        circle.map(|other| (*other).clone()).collect()
    };
    in_circle.map(circle_of).collect()
}

/// What a path leads to.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Target<'a> {
    Module(usize),
    /// The file that defines it, and its name.
    Item(&'a Path, &'a str),
}

/// What the names in a crate stand for.
struct NamesOf<'a> {
    modules: &'a [Module],
    library: &'a str,
}

impl<'a> NamesOf<'a> {
    /// What a path in the module `from` leads to: nothing, if that is not in this crate. It may be
    /// a module and a function of the same name.
    fn targets(&self, from: usize, path: &'a [String], depth: usize) -> BTreeSet<Target<'a>> {
        let Some((first, rest)) = path.split_first() else { return BTreeSet::new() };
        let mut reached = match first.as_str() {
            "crate" => BTreeSet::from([Target::Module(self.root_of(from))]),
            "self" => BTreeSet::from([Target::Module(from)]),
            "super" => self.modules[from].parent.into_iter().map(Target::Module).collect(),
            name if name == self.library => self.library_for(from).map(Target::Module).collect(),
            name => self.named(from, name, depth),
        };
        for name in rest {
            let modules = reached.iter().filter_map(|target| match target {
                Target::Module(module) => Some(*module),
                Target::Item(..) => None,
            });
            let modules: Vec<_> = modules.collect();
            if modules.is_empty() {
                return reached; // what follows belongs to the item
            }
            reached = modules.iter().flat_map(|module| self.member(*module, name, depth)).collect();
        }
        reached
    }

    /// What `module::name` is: if the reader has not understood it, then something in that file.
    fn member(&self, module: usize, name: &'a str, depth: usize) -> BTreeSet<Target<'a>> {
        if name == "super" {
            return self.modules[module].parent.into_iter().map(Target::Module).collect();
        }
        let mut found = self.named(module, name, depth);
        if found.is_empty() {
            found.insert(Target::Item(&self.modules[module].file, name));
        }
        found
    }

    /// What a name stands for in a module.
    fn named(&self, module: usize, name: &'a str, depth: usize) -> BTreeSet<Target<'a>> {
        let it = &self.modules[module];
        let mut found = BTreeSet::new();
        if depth == MAX_IMPORTS {
            return found;
        }
        if it.defined.contains(name) {
            found.insert(Target::Item(&it.file, name));
        }
        let children = it.children.iter().filter(|(child, _)| child == name);
        found.extend(children.map(|(_, number)| Target::Module(*number)));
        for import in it.imports.iter().filter(|import| import.name == name) {
            found.extend(self.targets(module, &import.path, depth + 1));
        }
        if found.is_empty() {
            for import in it.imports.iter().filter(|import| import.name == "*") {
                for target in self.targets(module, &import.path, depth + 1) {
                    if let Target::Module(other) = target {
                        found.extend(self.named(other, name, depth + 1));
                    }
                }
            }
        }
        found
    }

    fn root_of(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }

    /// The library, if the module belongs to a program beside it.
    fn library_for(&self, module: usize) -> impl Iterator<Item = usize> {
        let is_library = |number: &usize| {
            let module = &self.modules[*number];
            module.parent.is_none() && module.file == Path::new("lib.rs")
        };
        let root = self.root_of(module);
        (0..self.modules.len()).filter(is_library).filter(move |library| *library != root)
    }
}

#[cfg(test)]
mod tests {
    use super::super::modules::{Files, modules};
    use super::*;

    /// The arrows of a crate `own` with these files, `FROM -> TO: NAMES`.
    fn arrows_of(files: &[(&str, &str)]) -> Vec<String> {
        let shown = |((from, to), names): (&(PathBuf, PathBuf), &BTreeSet<String>)| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("{} -> {}: {}", from.display(), to.display(), names.join(" "))
        };
        all(files).iter().map(shown).collect()
    }

    fn all(files: &[(&str, &str)]) -> Arrows<PathBuf> {
        let files = files.iter().map(|(path, text)| (path.into(), (*text).to_owned()));
        arrows(&modules(&files.collect::<Files>()).unwrap(), "own")
    }

    fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let circles = circles(&all(files));
        let names = |circle: &BTreeSet<PathBuf>| {
            circle.iter().map(|file| file.display().to_string()).collect()
        };
        circles.iter().map(names).collect()
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod a;\nmod b;");

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        let by_use = ("a.rs", "use crate::b::g;\npub fn f() {}");
        for back in ["use super::a::f;", "fn h() { crate::a::f() }", "use crate::{a::{f as h}};"] {
            let files = [ROOT, by_use, ("b.rs", &format!("{back}\npub fn g() {{}}"))];
            assert_eq!(circles_of(&files), [["a.rs", "b.rs"]], "{back}");
        }
    }

    #[test]
    fn words_about_another_file_are_no_arrow() {
        let by_use = ("a.rs", "use crate::b::g;\npub fn f() {}");
        let words = [
            "/// Like [`crate::a::f`].",
            "//! [`f`](super::a::f)",
            "const X: &str = \"crate::a::f()\";",
            "#[cfg(test)]\nmod tests {\n    use crate::a::f;\n}",
        ];
        for word in words {
            let files = [ROOT, by_use, ("b.rs", &format!("{word}\npub fn g() {{}}"))];
            assert_eq!(arrows_of(&files), ["a.rs -> b.rs: g"], "{word}");
        }
    }

    #[test]
    fn what_a_macro_is_given_counts() {
        let files = [ROOT, ("a.rs", "fn f() { ensure!(crate::b::g()) }"), ("b.rs", "fn g() {}")];
        assert_eq!(arrows_of(&files), ["a.rs -> b.rs: g"]);
    }

    #[test]
    fn to_declare_or_to_pass_on_is_no_use() {
        let root = ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub(crate) use b::g;");
        let a = ("a.rs", "use crate::g;\npub struct A;");
        assert_eq!(arrows_of(&[root, a, ("b.rs", "pub fn g() {}")]), ["a.rs -> b.rs: g"]);
        // A circle by way of the root, which is none of its members.
        let files = [root, a, ("b.rs", "use super::A;\npub fn g() {}")];
        assert_eq!(circles_of(&files), [["a.rs", "b.rs"]]);
        // Who passes it on and uses it uses it.
        let root = ("lib.rs", "mod a;\nmod b;\npub use a::A;\nfn f() -> A { A }");
        let files = [root, ("a.rs", "pub struct A;"), ("b.rs", "use crate::f;")];
        assert_eq!(arrows_of(&files), ["b.rs -> lib.rs: f", "lib.rs -> a.rs: A"]);
    }

    #[test]
    fn parent_and_child() {
        let root = ("lib.rs", "mod a;");
        let parent = ("a.rs", "mod b;\npub use b::B;\npub fn f() { b::g() }\nconst C: u8 = 0;");
        let files = |child| [root, parent, ("a/b.rs", child)];
        let child = "pub struct B;\npub(super) fn g() {}\nimpl B { fn f(&self) { self.f() } }";
        assert_eq!(arrows_of(&files(child)), ["a.rs -> a/b.rs: g"]);
        for back in ["use super::C;", "fn g() { super::C }", "use super::*;\nfn g() { C }"] {
            assert_eq!(circles_of(&files(back)), [["a/b.rs", "a.rs"]], "{back}");
        }
        assert_eq!(circles_of(&files("use super::*;\nfn g() {}")), [[""; 0]; 0]);
    }

    #[test]
    fn a_module_that_is_imported_is_used_where_its_items_are() {
        let a = ("a.rs", "use crate::b as c;\nfn f() { c::g(c::H::I) }");
        let files = [ROOT, a, ("b.rs", "pub fn g() {}\npub enum H { I }")];
        assert_eq!(arrows_of(&files), ["a.rs -> b.rs: H g"]);
    }

    #[test]
    fn a_program_uses_the_library_beside_it() {
        let main = ("main.rs", "use own::f;\nmod a;\nfn main() { a::g() }");
        let files = [("lib.rs", "pub fn f() {}"), main, ("a.rs", "pub fn g() { own::f() }")];
        let expected = ["a.rs -> lib.rs: f", "main.rs -> a.rs: g", "main.rs -> lib.rs: f"];
        assert_eq!(arrows_of(&files), expected);
    }

    #[test]
    fn other_crates_are_not_ours() {
        let a =
            "use b::g;\nuse anyhow::anyhow;\nuse std::{fs, io};\nfn f() { ::own::b::g(fs::b()) }";
        assert_eq!(arrows_of(&[ROOT, ("a.rs", a), ("b.rs", "pub fn g() {}")]), [""; 0]);
    }

    #[test]
    fn circles_are_as_large_as_they_can_be() {
        let arrow = |from: u8, to: u8| ((from, to), BTreeSet::new());
        let two = [arrow(1, 2), arrow(2, 3), arrow(3, 1), arrow(3, 4), arrow(5, 6), arrow(6, 5)];
        let circles = circles(&Arrows::from(two));
        assert_eq!(circles, BTreeSet::from([BTreeSet::from([1, 2, 3]), BTreeSet::from([5, 6])]));
    }
}
