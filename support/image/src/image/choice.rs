//! Which image it is, of those that an index or an archive has: by its name, and for this machine.

use super::description::{Descriptor, Index, Manifest, read_json};
use super::machine::for_others;
use crate::blobs::Blobs;
use anyhow::{Context, Result, anyhow, bail, ensure};
use launcher::command_line::errno_of;
use nix::errno::Errno;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many indexes may stand between index.json and a manifest.
const MAX_DEPTH: usize = 3;

/// As many images are told in an error: an index can have thousands.
const MAX_TOLD: usize = 100;

/// And as many names of each.
const MAX_NAMES: usize = 10;

/// No registry takes a longer name with its tag, in bytes.
const MAX_NAME: usize = 255 + 1 + 128;

/// `PATH:TAG`. A tag can have colons and slashes of its own, as in `localhost:5000/name:latest`: it
/// begins behind the longest path that is there.
pub(super) fn split_tag(name: &Path) -> Result<(PathBuf, Option<String>)> {
    if is_there(name)? {
        return Ok((name.to_owned(), None));
    }
    let bytes = name.as_os_str().as_bytes();
    let colons = bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b':');
    let mut first = None;
    for (colon, _) in colons {
        let path = Path::new(OsStr::from_bytes(&bytes[..colon]));
        let Ok(tag) = str::from_utf8(&bytes[colon + 1..]) else { break };
        if path.as_os_str().is_empty() || tag.is_empty() {
            continue;
        }
        if is_there(path)? {
            return Ok((path.to_owned(), Some(tag.to_owned())));
        }
        // Of what is nowhere, the last word is the tag: the error is about the rest.
        first = first.or_else(|| (!tag.contains('/')).then(|| (path.to_owned(), tag.to_owned())));
    }
    Ok(first.map_or_else(|| (name.to_owned(), None), |(path, tag)| (path, Some(tag))))
}

/// Whether a name is that of a file, and not of an image in a registry: it begins like one, or
/// there is one (before a `:`, if it has one).
///
/// # Errors
/// If nobody can tell what is there.
pub fn is_path(name: &Path) -> Result<bool> {
    Ok(begins_like_path(name) || is_there(&split_tag(name)?.0)?)
}

pub(super) fn begins_like_path(name: &Path) -> bool {
    name.is_absolute() || name.starts_with(".") || name.starts_with("..")
}

/// Whether there is something of this name, which may be half of one, or far too long.
fn is_there(path: &Path) -> Result<bool> {
    match path.try_exists() {
        Err(error) if matches!(errno_of(&error), Errno::ENOTDIR | Errno::ENAMETOOLONG) => Ok(false),
        found => found.with_context(|| format!("cannot look at {path:?}")),
    }
}

/// An image, as an index or docker save's manifest.json lists it.
#[derive(Debug)]
pub(super) struct Listed<T> {
    /// Its place in the list.
    place: usize,
    names: Vec<String>,
    /// The place of the first one with the same names.
    first: usize,
    /// What it is: two with the same are one image.
    content: String,
    /// How well it is for this machine, the less the better.
    fit: Option<u32>,
    pub(super) item: T,
}

/// What a list says of an image: its names, what it is, and how well it is for this machine.
pub(super) type Said = (Vec<String>, String, Option<u32>);

impl<T> Listed<T> {
    /// All of a list, of each of which `said` tells what the list says.
    pub(super) fn all(items: Vec<T>, said: impl Fn(&T) -> Said) -> Vec<Listed<T>> {
        // One of them can have very many names: they are compared once.
        let mut firsts = HashMap::new();
        let listed = items.into_iter().enumerate().map(|(place, item)| {
            let (names, content, fit) = said(&item);
            let first = *firsts.entry(names.clone()).or_insert(place);
            Listed { place, names, first, content, fit, item }
        });
        listed.collect()
    }
}

/// The manifest for this machine, of the image that is asked for.
pub(super) fn find_manifest(blobs: &Blobs, index: Index, tag: Option<&str>) -> Result<Manifest> {
    let listed = Listed::all(index.manifests, said_of);
    let platforms = |all: &[&Listed<Descriptor>]| platforms(all.iter().map(|it| &it.item));
    let mut descriptor = pick(&listed, tag, platforms)?.item.clone();
    for _ in 0..MAX_DEPTH {
        match descriptor.media_type.as_str() {
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => {
                return read_json(blobs, &descriptor, "manifest");
            }
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                let index: Index = read_json(blobs, &descriptor, "index")?;
                descriptor = best(index)?;
            }
            other => bail!("{} is of an unknown media type {other:?}", descriptor.digest),
        }
    }
    bail!("its indexes are nested too deep")
}

/// Whether one of these images has this tag, as [`Image::open`](super::Image::open) understands it.
pub(crate) fn has_tag(images: Vec<Descriptor>, tag: &str) -> bool {
    let listed = Listed::all(images, said_of);
    !named(&listed.iter().collect::<Vec<_>>(), tag).is_empty()
}

fn said_of(it: &Descriptor) -> Said {
    (names_of(it), it.digest.to_string(), it.fit())
}

/// The one of an index that is best for this machine, the first of several.
///
/// # Errors
/// If none is for this machine.
pub fn best(index: Index) -> Result<Descriptor> {
    ensure!(!index.manifests.is_empty(), "its index is empty");
    let told = platforms(&index.manifests);
    let fitting = index.manifests.into_iter().filter_map(|it| Some((it.fit()?, it)));
    let best = fitting.min_by_key(|(fit, _)| *fit);
    best.map(|(_, it)| it).with_context(|| for_others(&told))
}

/// The machines that they are for.
fn platforms<'a>(all: impl IntoIterator<Item = &'a Descriptor>) -> String {
    let all = all.into_iter().filter_map(|it| it.platform.as_ref()).map(ToString::to_string);
    list(all.collect::<BTreeSet<_>>().into_iter())
}

/// The names that an index has for an image.
pub(crate) fn names_of(descriptor: &Descriptor) -> Vec<String> {
    let names = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
    let annotations = descriptor.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| names.contains(&key.as_str()))
        .map(|(_, name)| name.clone())
        .collect()
}

/// The one with this tag; without a tag the only one there is, or `latest`. `platforms` says for
/// which machines some of them are.
pub(super) fn pick<'a, T>(
    all: &'a [Listed<T>],
    tag: Option<&str>,
    platforms: impl Fn(&[&Listed<T>]) -> String,
) -> Result<&'a Listed<T>> {
    ensure!(!all.is_empty(), "no image is in it: its list is empty");
    let everything: Vec<_> = all.iter().collect();
    let meant = tag.map_or_else(|| everything.clone(), |tag| named(&everything, tag));
    let fitting = for_this_machine(&meant);
    let of_latest = || named(&fitting, "latest");
    match (&fitting[..], tag) {
        ([one], _) => Ok(one),
        ([], Some(tag)) if meant.is_empty() => {
            let others = for_this_machine(&everything);
            ensure!(!others.is_empty(), for_others(&platforms(&everything)));
            bail!("it has no tag {tag:?}, only: {}", told(&others, all))
        }
        ([], _) => Err(anyhow!(for_others(&platforms(&meant)))),
        (several, tag) => {
            if let (None, [one]) = (tag, &of_latest()[..]) {
                return Ok(one);
            }
            let count = several.len();
            let what = match tag {
                Some(tag) => format!("{tag:?} means {count} of its images"),
                None => format!("it holds {count} images"),
            };
            bail!("{what}: choose one with PATH:TAG, of: {}", told(several, all))
        }
    }
}

/// Those for this machine, each once. Of several that differ in nothing but the processors that
/// they are for, the best.
fn for_this_machine<'a, T>(all: &[&'a Listed<T>]) -> Vec<&'a Listed<T>> {
    let mut best = HashMap::new();
    for it in all {
        let Some(fit) = it.fit else { continue };
        let so_far = best.entry(it.first).or_insert(fit);
        *so_far = fit.min(*so_far);
    }
    let is_best = |it: &&&Listed<T>| it.fit.is_some() && it.fit.as_ref() == best.get(&it.first);
    let mut seen = HashSet::new();
    all.iter().filter(is_best).filter(|it| seen.insert(&it.content)).copied().collect()
}

/// Those that a tag means: `@N` by its place, as skopeo has it; else by its whole name; by what is
/// behind the last colon of it; by a name that needs no `:latest`, as in Docker; or by its digest.
fn named<'a, T>(all: &[&'a Listed<T>], tag: &str) -> Vec<&'a Listed<T>> {
    let place = tag.strip_prefix('@').and_then(|place| place.parse::<usize>().ok());
    if let Some(place) = place {
        return all.iter().filter(|it| it.place == place).copied().collect();
    }
    let is_behind_colon = |name: &str| name.rsplit_once(':').is_some_and(|(_, last)| last == tag);
    let is_short_for = |name: &str| short(name) == short(tag);
    let ways: [&dyn Fn(&str) -> bool; 3] = [&|name| name == tag, &is_behind_colon, &is_short_for];
    let found = ways.into_iter().map(|way| {
        let is_named = |it: &&&Listed<T>| it.names.iter().any(|name| way(name));
        all.iter().filter(is_named).copied().collect::<Vec<_>>()
    });
    let of_digest = || all.iter().filter(|it| it.content == tag).copied().collect();
    found.into_iter().find(|found| !found.is_empty()).unwrap_or_else(of_digest)
}

/// A name as one types it for docker run.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name)
}

/// What chooses each of `some`, typed behind `PATH:`: its names, if no other of `all` has them, or
/// its place.
fn told<T>(some: &[&Listed<T>], all: &[Listed<T>]) -> String {
    let mut with_name: HashMap<&str, Vec<_>> = HashMap::new();
    for it in all {
        it.names.iter().for_each(|name| with_name.entry(name).or_default().push(it));
    }
    with_name.retain(|name, found| can_be_typed(name) && for_this_machine(found).len() == 1);
    list(some.iter().map(|it| {
        let names = it.names.iter().map(String::as_str).filter(|name| with_name.contains_key(name));
        let names: Vec<_> = names.take(MAX_NAMES).collect();
        if names.is_empty() { format!("@{}", it.place) } else { names.join(", ") }
    }))
}

/// Whether a name means nothing else, to a shell or to us, looks like what it is, and ends.
fn can_be_typed(name: &str) -> bool {
    let is_plain = |byte| matches!(byte, b'-' | b'.' | b'/' | b':' | b'@' | b'_' | b'+');
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with('@')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_plain(byte))
}

/// Words with commas between them, or as many of them as one can read.
fn list(words: impl ExactSizeIterator<Item = String>) -> String {
    let more = words.len().saturating_sub(MAX_TOLD);
    let words = words.take(MAX_TOLD).collect::<Vec<_>>().join(", ");
    if more == 0 { words } else { format!("{words}, and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Images by their names, `|` between those of one; a `!` before them: for another machine.
    fn images(list: &[&str]) -> Vec<Listed<String>> {
        let items = list.iter().enumerate().map(|(place, names)| format!("{place} {names}"));
        Listed::all(items.collect(), |item| {
            let (place, names) = item.split_once(' ').unwrap();
            let fit = (!names.starts_with('!')).then_some(0);
            let names = names.trim_start_matches('!').split_terminator('|').map(String::from);
            (names.collect(), place.to_owned(), fit)
        })
    }

    fn find(all: &[Listed<String>], tag: Option<&str>) -> Result<usize, String> {
        let found = pick(all, tag, |_| "another".to_owned());
        found.map(|it| it.place).map_err(|error| error.to_string())
    }

    /// The words that an error tells to type.
    fn advised(error: &str) -> Vec<&str> {
        error.rsplit_once(": ").map(|(_, words)| words.split(", ").collect()).unwrap()
    }

    #[test]
    fn a_tag_means_the_nearest_of_several_things() {
        let all = images(&["a:latest", "b:latest|b:1", "localhost:5000/c:latest", "2", "x:2"]);
        let place = |tag| find(&all, Some(tag)).unwrap();
        assert_eq!(place("a:latest"), 0);
        assert_eq!(place("a"), 0);
        assert_eq!(place("b"), 1);
        assert_eq!(place("1"), 1);
        assert_eq!(place("localhost:5000/c"), 2);
        assert_eq!(place("2"), 3, "the whole name goes first");
        assert_eq!(place("x:2"), 4);
        assert_eq!(place("@3"), 3);
        for none in ["@5", "@", "@-1", "c", "5000/c", "latest:", ""] {
            assert!(find(&all, Some(none)).is_err(), "{none}");
        }
        let all =
            images(&["docker.io/library/a:latest|latest", "docker.io/library/b:latest|latest"]);
        assert_eq!(find(&all, Some("b:latest")), Ok(1), "as docker save's manifest.json has it");
        assert_eq!(find(&all, Some("docker.io/library/a:latest")), Ok(0));
        assert_eq!(find(&all, Some("docker.io/library/a")), Ok(0));
    }

    #[test]
    fn without_a_tag_it_is_the_only_one_or_latest() {
        assert_eq!(find(&images(&["x"]), None), Ok(0));
        assert_eq!(find(&images(&["!x", "y"]), None), Ok(1));
        assert_eq!(find(&images(&["x", "a:latest"]), None), Ok(1));
        let several =
            [None, Some("latest")].map(|tag| find(&images(&["a:latest", "b:latest"]), tag));
        let [none, latest] = several.map(Result::unwrap_err);
        assert_eq!(none, "it holds 2 images: choose one with PATH:TAG, of: a:latest, b:latest");
        assert_eq!(
            latest,
            "\"latest\" means 2 of its images: choose one with PATH:TAG, of: \
                            a:latest, b:latest"
        );
        let error = find(&images(&["!x", "!y"]), None).unwrap_err();
        assert!(error.starts_with("it is for another, and this machine is linux/"), "{error}");
        assert_eq!(find(&images(&["!x", "y"]), Some("x")).unwrap_err(), error);
        assert_eq!(find(&images(&["!x", "!y"]), Some("z")).unwrap_err(), error);
        assert_eq!(find(&[], None).unwrap_err(), "no image is in it: its list is empty");
    }

    #[test]
    fn the_same_image_under_two_names_is_one() {
        let mut all = images(&["a:latest", "b:latest"]);
        all[1].content = "0".to_owned();
        assert_eq!(find(&all, None), Ok(0));
        assert_eq!(find(&all, Some("latest")), Ok(0));
        assert_eq!(find(&all, Some("b")), Ok(1));
    }

    #[test]
    fn the_better_of_two_machines_is_taken_for_one_name() {
        let mut all = images(&["a", "a", "a", "b"]);
        for (it, fit) in all.iter_mut().zip([Some(3), Some(0), None, Some(2)]) {
            it.fit = fit;
        }
        assert_eq!(find(&all, Some("a")), Ok(1));
        assert_eq!(find(&all, Some("b")), Ok(3));
        all[1].fit = None;
        assert_eq!(find(&all, Some("a")), Ok(0));
    }

    /// Whatever the names are: each word of an error chooses an image, and every image is told.
    #[test]
    fn what_an_error_advises_works() {
        let names = [
            "",
            "a",
            "a|b",
            "a:latest",
            "b:latest",
            "latest",
            "x:1",
            "y:1",
            "1",
            "@0",
            "@7",
            "a b",
            "\u{202e}x",
            "library/a",
            "docker.io/library/a:latest",
            "!a",
            "!1",
            "!x:1",
            "1|y:1",
        ];
        let mut state = 1_u32;
        let mut any = |most: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % most
        };
        let mut errors = 0;
        for _ in 0..3000 {
            let list: Vec<_> = (0..2 + any(4)).map(|_| names[any(names.len())]).collect();
            let all = images(&list);
            for tag in [None, Some("latest"), Some("1"), Some("no-such")] {
                let Err(error) = find(&all, tag) else { continue };
                if error.starts_with("it is for") {
                    continue;
                }
                errors += 1;
                let places = advised(&error).into_iter().map(|word| find(&all, Some(word)));
                let places = places.collect::<Result<BTreeSet<_>, _>>();
                let places = places.unwrap_or_else(|it| panic!("{list:?} {tag:?}: {error}: {it}"));
                let everything: Vec<_> = all.iter().collect();
                let meant = tag.map_or_else(Vec::new, |tag| named(&everything, tag));
                let meant = if meant.is_empty() { everything } else { meant };
                let of_machine = meant.into_iter().filter(|it| it.fit.is_some());
                let wanted = of_machine.map(|it| it.place).collect();
                assert_eq!(places, wanted, "{list:?} {tag:?}: {error}");
            }
        }
        assert!(errors > 1000, "{errors}");
    }

    #[test]
    fn thousands_of_names_are_told_in_part_and_soon() {
        let names: Vec<_> = (0..20_000).map(|number| format!("name{number}:latest")).collect();
        let all = images(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let start = std::time::Instant::now();
        let error = find(&all, None).unwrap_err();
        assert!(error.ends_with("name99:latest, and 19900 more"), "{error}");
        let long = images(&["x".repeat(384).as_str(), "x".repeat(385).as_str()]);
        assert!(find(&long, None).unwrap_err().ends_with("xxx, @1"));
        let names: Vec<_> = (0..50_000).map(|number| format!("a:{number}")).collect();
        let many = images(&[names.join("|").as_str(), names.join("|").as_str()]);
        assert!(find(&many, Some("latest")).unwrap_err().ends_with("only: @0, @1"));
        let same = images(&vec!["a|b|c|d|e|f|g|h|i|j|k"; 20_000]);
        assert!(find(&same, Some("a")).unwrap_err().ends_with("@98, @99, and 19900 more"));
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    #[test]
    fn a_tag_begins_behind_what_is_there() {
        let place = nix::unistd::mkdtemp(&std::env::temp_dir().join("names-XXXXXX")).unwrap();
        for name in ["a.tar", "b:1", "b"] {
            fs::write(place.join(name), "").unwrap();
        }
        let split = |name: &str| {
            let (path, tag) = split_tag(&place.join(name)).unwrap();
            (path.strip_prefix(&place).unwrap().to_str().unwrap().to_owned(), tag)
        };
        let path_and_tag = |path: &str, tag: &str| (path.to_owned(), Some(tag.to_owned()));
        assert_eq!(split("a.tar"), ("a.tar".to_owned(), None));
        assert_eq!(split("a.tar:1"), path_and_tag("a.tar", "1"));
        assert_eq!(split("a.tar:@1"), path_and_tag("a.tar", "@1"));
        assert_eq!(split("a.tar:b:latest"), path_and_tag("a.tar", "b:latest"));
        let whole = "localhost:5000/b:latest";
        assert_eq!(split(&format!("a.tar:{whole}")), path_and_tag("a.tar", whole));
        assert_eq!(split("b:1"), ("b:1".to_owned(), None));
        assert_eq!(split("b:1:2"), path_and_tag("b:1", "2"));
        assert_eq!(split("b:1/x"), path_and_tag("b", "1/x"));
        assert_eq!(split("b:2"), path_and_tag("b", "2"));
        assert_eq!(split("none:1"), path_and_tag("none", "1"));
        assert_eq!(split("none:5000/x"), ("none:5000/x".to_owned(), None));
        assert_eq!(split("a.tar:"), ("a.tar:".to_owned(), None));
        let long = "x".repeat(5000);
        assert_eq!(split(&format!("a.tar:{long}")), path_and_tag("a.tar", &long));
        fs::remove_dir_all(&place).unwrap();
    }
}
