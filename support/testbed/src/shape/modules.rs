//! The modules of a crate, each with what it defines, what it imports, and the paths it uses.
//!
//! This reads tokens, and knows of the language what our code needs. What only tests compile
//! (`#[cfg(test)]`) is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::tokens::Token::{self, Colons, Mark, Text, Word};
use super::tokens::tokens;

/// The files of a crate: their paths below `src`, and what stands in them.
pub(super) type Files = BTreeMap<PathBuf, String>;

/// The names in a path: `crate::bridge::create` has three.
pub(super) type Names = Vec<String>;

/// A module: a file, or a part of one (`mod x { .. }`).
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Where it stands.
    pub(super) file: PathBuf,
    /// The module that declares it; none for the root of a library or a program.
    pub(super) parent: Option<usize>,
    /// Its own modules. What depends on the target may be declared more than once.
    pub(super) children: Vec<(String, usize)>,
    /// The names of its items.
    pub(super) defined: BTreeSet<String>,
    /// What it brings in with `use`.
    pub(super) imports: Vec<Import>,
    /// The other paths in it; a path may be one name.
    pub(super) paths: BTreeSet<Names>,
}

/// What one name of a `use` declaration means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// As it is called here; `*` for all that is there.
    pub(super) name: String,
    /// Where it comes from.
    pub(super) path: Names,
    /// `pub use`: it is there for others.
    pub(super) is_public: bool,
}

/// The modules of a library (`lib.rs`) and of the programs beside it.
pub(super) fn modules(files: &Files) -> Result<Vec<Module>> {
    let mut tree = Tree { files, modules: Vec::new() };
    for file in files.keys().filter(|file| is_root(file)) {
        tree.read_file(file, None)?;
    }
    Ok(tree.modules)
}

/// Whether cargo begins to compile here.
fn is_root(file: &Path) -> bool {
    file == Path::new("lib.rs")
        || file == Path::new("main.rs")
        || file.parent() == Some("bin".as_ref())
}

struct Tree<'a> {
    files: &'a Files,
    modules: Vec<Module>,
}

impl Tree<'_> {
    /// Returns the new module's number.
    fn read_file(&mut self, file: &Path, parent: Option<usize>) -> Result<usize> {
        let source = self.files.get(file).with_context(|| format!("no {}", file.display()))?;
        let module = self.add(file, parent);
        Reader { tree: self, tokens: &tokens(source), at: 0, depth: 0, open: vec![(module, 0)] }
            .read()
            .with_context(|| format!("cannot read {}", file.display()))?;
        Ok(module)
    }

    fn add(&mut self, file: &Path, parent: Option<usize>) -> usize {
        self.modules.push(Module { file: file.to_owned(), parent, ..Module::default() });
        self.modules.len() - 1
    }

    /// The file of a module that is declared in another file.
    fn file_of(&self, parent: &Path, name: &str, path: Option<&str>) -> PathBuf {
        let directory = parent.parent().unwrap_or(Path::new(""));
        if let Some(path) = path {
            return directory.join(path);
        }
        let is_in_directory = is_root(parent) || parent.ends_with("mod.rs");
        let directory =
            if is_in_directory { directory.to_owned() } else { parent.with_extension("") };
        let file = directory.join(name).with_extension("rs");
        if self.files.contains_key(&file) { file } else { directory.join(name).join("mod.rs") }
    }
}

/// Goes through one file.
struct Reader<'a, 'b> {
    tree: &'a mut Tree<'b>,
    tokens: &'a [Token<'a>],
    at: usize,
    /// How many `{` are open.
    depth: usize,
    /// The modules that are open, with the depth of what stands directly in them.
    open: Vec<(usize, usize)>,
}

impl Reader<'_, '_> {
    fn read(mut self) -> Result<()> {
        let mut path = None;
        while self.at < self.tokens.len() {
            let tokens = &self.tokens[self.at..];
            self.at += match tokens {
                [Mark('#'), Mark('['), Word("path"), Mark('='), Text(text), Mark(']'), ..] => {
                    path = Some(*text);
                    6
                }
                [Word("mod"), Word(name), Mark(';'), ..] => {
                    let file = self.tree.file_of(&self.here().file, name, path.take());
                    let child = self.tree.read_file(&file, self.number())?;
                    self.here_mut().children.push(((*name).to_owned(), child));
                    3
                }
                _ => self.read_in_file(tokens),
            };
        }
        Ok(())
    }

    /// Notes what stands at the beginning of the tokens, and returns how many that are.
    fn read_in_file(&mut self, tokens: &[Token]) -> usize {
        match tokens {
            _ if tokens.starts_with(&FOR_TESTS) => {
                FOR_TESTS.len() + length_of_item(&tokens[FOR_TESTS.len()..])
            }
            [Word("mod"), Word(name), Mark('{'), ..] => {
                let (file, parent) = (self.here().file.clone(), self.number());
                let child = self.tree.add(&file, parent);
                self.here_mut().children.push(((*name).to_owned(), child));
                self.depth += 1;
                self.open.push((child, self.depth));
                3
            }
            [Mark('{'), ..] => {
                self.depth += 1;
                1
            }
            [Mark('}'), ..] => {
                self.open.pop_if(|(_, depth)| *depth == self.depth && *depth > 0);
                self.depth -= 1;
                1
            }
            [Word("use"), Word(_) | Colons | Mark('{'), ..] => {
                let is_public = self.is_public();
                let length = length_until_semicolon(tokens);
                let mut imports = UseTree { tokens: &tokens[1..length], is_public, found: vec![] };
                imports.read(&[]);
                self.here_mut().imports.extend(imports.found);
                length
            }
            [Word("macro_rules"), Mark('!'), Word(name), ..] => self.define(name, 3),
            [Word("static"), Word("mut"), Word(name), ..] => self.define(name, 3),
            [Word("const" | "unsafe"), Word("fn" | "extern" | "unsafe" | "trait"), ..] => 1,
            [Word(keyword), Word(name), ..] if ITEMS.contains(keyword) => self.define(name, 2),
            [Word(_), ..] => self.read_path(tokens),
            _ => 1,
        }
    }

    fn number(&self) -> Option<usize> {
        self.open.last().map(|(module, _)| *module)
    }

    fn here(&self) -> &Module {
        &self.tree.modules[self.number().unwrap_or_default()]
    }

    fn here_mut(&mut self) -> &mut Module {
        let number = self.number().unwrap_or_default();
        &mut self.tree.modules[number]
    }

    /// Notes an item; not what belongs to a function or a type.
    fn define(&mut self, name: &str, length: usize) -> usize {
        if self.open.last().is_some_and(|(_, depth)| *depth == self.depth) {
            self.here_mut().defined.insert(name.to_owned());
        }
        length
    }

    /// Whether `pub` or `pub(..)` stands before this token.
    fn is_public(&self) -> bool {
        let before = &self.tokens[..self.at];
        let visibility = match before {
            [before @ .., Mark('('), Word(_), Mark(')')] => before,
            _ => before,
        };
        visibility.last() == Some(&Word("pub"))
    }

    /// Notes a path, unless it is the name of a field or a method.
    fn read_path(&mut self, tokens: &[Token]) -> usize {
        let mut names = Vec::new();
        let mut length = 0;
        while let Some(Word(name)) = tokens.get(length) {
            names.push((*name).to_owned());
            length += 1;
            if tokens.get(length) != Some(&Colons) {
                break;
            }
            length += 1;
        }
        let is_rest = match &self.tokens[..self.at] {
            [.., Mark('.'), Mark('.')] => false, // ..default()
            [.., Mark('.') | Colons] => true,    // x.len(), ::std::env, Vec::<u8>::new
            _ => false,
        };
        let is_field = names.len() == 1 && tokens.get(length) == Some(&Mark(':'));
        if !is_rest && !is_field {
            self.here_mut().paths.insert(names);
        }
        length
    }
}

/// `#[cfg(test)]`
const FOR_TESTS: [Token; 7] =
    [Mark('#'), Mark('['), Word("cfg"), Mark('('), Word("test"), Mark(')'), Mark(']')];

/// What stands before the name of an item.
const ITEMS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

/// How many tokens an item has, with its attributes, up to its block or semicolon.
fn length_of_item(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Mark('(' | '[' | '{') => depth += 1,
            Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 && [Mark(';'), Mark('}')].contains(token) {
            return index + 1;
        }
    }
    tokens.len()
}

fn length_until_semicolon(tokens: &[Token]) -> usize {
    tokens.iter().position(|token| *token == Mark(';')).unwrap_or(tokens.len())
}

/// What stands between `use` and `;`.
struct UseTree<'a> {
    tokens: &'a [Token<'a>],
    is_public: bool,
    found: Vec<Import>,
}

impl UseTree<'_> {
    /// Reads one path, or all in a pair of braces, that go on from `prefix`.
    fn read(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.tokens {
                // `::a` is somebody else's crate, which no name of ours leads to.
                [Colons, rest @ ..] => {
                    self.tokens = rest;
                    if path.is_empty() {
                        path.push(String::new());
                    }
                }
                [Mark('{'), rest @ ..] => {
                    self.tokens = rest;
                    return self.read_group(&path);
                }
                [Mark('*'), rest @ ..] => {
                    self.tokens = rest;
                    return self.add("*", path);
                }
                [Word(name), Colons, rest @ ..] => {
                    self.tokens = rest;
                    path.push((*name).to_owned());
                }
                [Word(last), Word("as"), Word(name), rest @ ..] => {
                    self.tokens = rest;
                    return self.add(name, with_last(path, last));
                }
                [Word(last), rest @ ..] => {
                    self.tokens = rest;
                    let path = with_last(path, last);
                    let name = path.last().cloned().unwrap_or_default();
                    return self.add(&name, path);
                }
                _ => return,
            }
        }
    }

    fn read_group(&mut self, prefix: &[String]) {
        while let [first, rest @ ..] = self.tokens {
            match first {
                Mark('}') => {
                    self.tokens = rest;
                    return;
                }
                Mark(',') => self.tokens = rest,
                _ => self.read(prefix),
            }
        }
    }

    fn add(&mut self, name: &str, path: Names) {
        self.found.push(Import { name: name.to_owned(), path, is_public: self.is_public });
    }
}

/// The `self` of `use a::{self, b}` is `a`.
fn with_last(mut path: Names, last: &str) -> Names {
    if last != "self" || path.is_empty() {
        path.push(last.to_owned());
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules of a library that is one file.
    fn of(source: &str) -> Vec<Module> {
        modules(&Files::from([("lib.rs".into(), source.to_owned())])).unwrap()
    }

    fn imports(source: &str) -> Vec<String> {
        let module = of(source).remove(0);
        let imports = module.imports.iter();
        imports.map(|it| format!("{} = {}", it.name, it.path.join("::"))).collect()
    }

    fn paths(source: &str) -> Vec<String> {
        of(source)[0].paths.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_all_of_its_names() {
        let grouped = "use crate::{a::{self, B as C}, d::*, e};\nuse ::f::g;";
        let all = ["a = crate::a", "C = crate::a::B", "* = crate::d", "e = crate::e", "g = ::f::g"];
        assert_eq!(imports(grouped), all);
    }

    #[test]
    fn a_public_import_is_for_others() {
        for (visibility, is_public) in [("pub", true), ("pub(crate)", true), ("", false)] {
            let module = of(&format!("const A: u8 = (1);\n{visibility} use a::B;")).remove(0);
            assert_eq!(module.imports[0].is_public, is_public, "{visibility}");
        }
    }

    #[test]
    fn paths_are_those_of_items() {
        let body = "fn f() { a::b(c::D { e: g }); h.i::<j::K>(); Vec::<l::M>::n(); ..o() }";
        assert_eq!(paths(body), ["Vec", "a::b", "c::D", "g", "h", "j::K", "l::M", "o"]);
    }

    #[test]
    fn what_only_tests_compile_is_left_out() {
        let for_tests = [
            "#[cfg(test)]\nmod tests { use a::b; fn f() { c::d() } }",
            "#[cfg(test)]\nmod tests;",
            "#[cfg(test)]\nuse a::{b, c};",
            "#[cfg(test)]\n#[expect(a::b)]\npub(crate) fn f(x: [u8; 1]) -> a::B { a::b() }",
        ];
        for source in for_tests {
            let modules = of(&format!("{source}\nfn after() {{}}"));
            assert_eq!(modules.len(), 1, "{source}");
            assert_eq!(modules[0].defined, BTreeSet::from(["after".to_owned()]), "{source}");
            assert!(modules[0].paths.is_empty() && modules[0].imports.is_empty(), "{source}");
        }
    }

    #[test]
    fn a_module_in_a_file_is_one_of_its_own() {
        let modules = of("mod a { fn b() { c::d() } }\nimpl E { fn f() {} }\nstruct E;");
        assert_eq!(modules[1].parent, Some(0));
        assert_eq!(modules[1].defined, BTreeSet::from(["b".to_owned()]));
        assert_eq!(modules[0].defined, BTreeSet::from(["E".to_owned()]));
    }
}
