//! Which layer wins, what a deleted file is, and how many layers there may be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;

pub(in crate::exercises) const LAYER_ORDER: Exercise = Exercise {
    id: "layer-order",
    was: &[],
    step: "v7-overlay",
    title: "Which layer wins?",
    minutes: 10,
    source: include_str!("../../../exercises/layer-order.rs"),
    hints: [
        "Two lists of the same layers, and both have an order. Which end is the top in an image? \
         And in lowerdir, of which mount(8) and the kernel's overlayfs document tell?",
        "In lowerdir the first directory is on top. The launcher has the rootfs first, which is to \
         be at the bottom.",
        "Turn the list around: all.iter().rev().map(...).",
    ],
    starter_fails: "the page is the one of the layer below",
    faults: &[
        Fault { name: "top-only", fails: "Error: " },
        Fault { name: "written", fails: "has changed: it has a file `written`" },
    ],
    needs_cgroup: false,
    check: layer_order,
};

/// A directory of the host with these files in it.
fn layer(judged: &Judged, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let directory = judged.outside().join(name);
    fs::create_dir(&directory).context("cannot make a layer")?;
    write(&directory, files)?;
    Ok(directory)
}

fn write(directory: &Path, files: &[(&str, &str)]) -> Result<()> {
    files.iter().try_for_each(|(name, content)| {
        fs::write(directory.join(name), content).context("cannot write a file of a layer")
    })
}

/// The learner's program with these layers.
fn on_layers(judged: &Judged, layers: &[&Path], words: &[&str]) -> Command {
    let mut command = judged.program();
    command.arg("--rootfs").arg(judged.rootfs());
    for layer in layers {
        command.arg("--layer").arg(layer);
    }
    command.args(words);
    command
}

fn layer_order(judged: &Judged) -> Result<()> {
    write(&judged.rootfs(), &[("page", "of the rootfs")])?;
    let below = layer(judged, "below", &[("page", "of below"), ("only-below", "x")])?;
    let above = layer(judged, "above", &[("page", "of above"), ("only-above", "x")])?;
    let run = |script: &str| {
        let mut command = on_layers(judged, &[&below, &above], &["sh", "-c", script]);
        judged.run_to_end(&mut command, script)
    };
    let page = run("cat /page")?;
    let expected = "--layer below --layer above: the page is the one of `above`";
    let seen = match page.stdout.as_str() {
        "" => page.stderr,
        "of above" => String::new(),
        other => format!("the page is the one of the layer below: \"{other}\""),
    };
    let look = "the order of lowerdir";
    expect(page.stdout == "of above", expected, &seen, look)?;
    let all = run("ls /only-below /only-above /bin/busybox")?;
    let expected = "what only one layer has can be seen through the others";
    expect(all.status == 0, expected, &all.stderr, "whether all layers are in lowerdir")?;
    let written = run("echo x > /written && cat /written")?;
    let expected = "the container can write";
    expect(written.stdout == "x", expected, &written.stderr, "upperdir and workdir")?;
    for layer in [&below, &above, &judged.rootfs()] {
        let name = layer.file_name().unwrap_or_default().display();
        let seen = format!("the layer `{name}` has changed: it has a file `written`");
        let expected = "what the container writes is in none of the layers";
        expect(!layer.join("written").exists(), expected, &seen, "which directory is the upper")?;
    }
    Ok(())
}

pub(in crate::exercises) const WHITEOUT: Exercise = Exercise {
    id: "whiteout",
    was: &[],
    step: "v7-overlay",
    title: "How to delete what one cannot change",
    minutes: 20,
    source: include_str!("../../../exercises/whiteout.rs"),
    hints: [
        "Delete a file in a container of v7 with --upper DIR, and look into DIR with ls -l: what \
         does overlayfs itself make?",
        "A character device with the number 0:0, with the name of what is deleted: a whiteout. It \
         takes no privilege to make one. And the mark is then of no use any more.",
        "fs::remove_file of layer/.wh.NAME, then mknod(&layer.join(name), SFlag::S_IFCHR, \
         Mode::empty(), 0) of nix::sys::stat.",
    ],
    starter_fails: "the file is still there",
    faults: &[
        Fault { name: "deleted-below", fails: "the layer below has lost its file" },
        Fault { name: "empty-file", fails: "there is an empty file of its name" },
        Fault { name: "mark-stays", fails: "the mark is there, too" },
    ],
    needs_cgroup: false,
    check: whiteout,
};

fn whiteout(judged: &Judged) -> Result<()> {
    write(&judged.rootfs(), &[("greeting", "hello")])?;
    let above = layer(judged, "layer", &[(".wh.greeting", ""), ("new", "x")])?;
    let run = |words: &[&str]| {
        let ended =
            judged.run_to_end(&mut on_layers(judged, &[&above], words), &words.join(" "))?;
        expect(ended.status != 125, "a container that starts", &ended.stderr, "what it names")?;
        Ok::<_, anyhow::Error>(ended)
    };
    let expected = "with .wh.greeting in the layer, the container has no /greeting";
    // One start for both: a mark that is left over stops the second one of some programs.
    let shown =
        run(&["sh", "-c", "ls -A /; echo /; test -e /greeting && wc -c < /greeting"])?.stdout;
    let (names, greeting) = shown.split_once('/').unwrap_or((&shown, ""));
    let seen = match greeting.trim() {
        "0" => "there is an empty file of its name",
        _ => "the file is still there",
    };
    expect(greeting.trim().is_empty(), expected, seen, "what overlayfs takes for deleted")?;
    let below = judged.rootfs().join("greeting").exists();
    let expected = "the layer below has its file, as other containers see it";
    let seen = "the layer below has lost its file";
    expect(below, expected, seen, "in which directory something is deleted")?;
    let expected = "of the mark .wh.greeting, nothing is seen inside";
    let seen = "the mark is there, too";
    expect(!names.contains(".wh."), expected, seen, "what becomes of the mark")?;
    let expected = "what else is in the layer is seen, and what is below it";
    let has = |name| names.lines().any(|line| line == name);
    let shown = names.lines().collect::<Vec<_>>().join(" ");
    expect(has("new") && has("bin"), expected, &shown, "what was removed beside the mark")?;
    let again = judged.run_to_end(&mut on_layers(judged, &[&above], &["true"]), "true")?;
    let expected = "a second container with the same layer starts as well";
    expect(again.status == 0, expected, &again.stderr, "what the first start has left in the layer")
}

pub(in crate::exercises) const MANY_LAYERS: Exercise = Exercise {
    id: "many-layers",
    was: &[],
    step: "v7-overlay",
    title: "The options that are cut",
    minutes: 30,
    source: include_str!("../../../exercises/many-layers.rs"),
    hints: [
        "Only the text has to be short, not the names. What other names can a directory have, for \
         this one process?",
        "A directory that is open has a short name: the number of its descriptor, as a link in \
         /proc/self/fd. And lowerdir takes relative paths.",
        "Open every layer as a File and keep them all; set_current_dir(\"/proc/self/fd\"); join \
         their as_raw_fd() with \":\".",
    ],
    starter_fails: "cannot mount 101 layers",
    faults: &[
        Fault { name: "only-what-fits", fails: "it sees less: " },
        Fault { name: "renamed", fails: "the layers have other names now" },
    ],
    needs_cgroup: false,
    check: many_layers,
};

fn many_layers(judged: &Judged) -> Result<()> {
    let layers = layer(judged, "layers", &[])?;
    let names: Vec<_> = (1001..=1100).map(|number| format!("{number:064}")).collect();
    for name in &names {
        layer(judged, &format!("layers/{name}"), &[(&format!("of-{name}"), "x"), ("top", name)])?;
    }
    let mut launcher = judged.program();
    launcher.arg("--rootfs").arg(judged.rootfs()).arg("--layers").arg(&layers);
    let script = "ls / | grep -c ^of-; cat /top";
    let ended = judged.run_to_end(launcher.args(["sh", "-c", script]), script)?;
    let expected = "a container with a hundred layers";
    let look = "the step that the message names, and how long its text still is";
    expect(ended.status != 125, expected, &ended.stderr, look)?;
    let expected = "the layers stay as they are: other containers use them too";
    let is_there = names.iter().all(|name| layers.join(name).exists());
    let seen = "the layers have other names now";
    expect(is_there, expected, seen, "which names are only this process's own")?;
    let (count, top) = ended.stdout.split_once('\n').unwrap_or((&ended.stdout, ""));
    let expected = "the container sees the files of all 100 layers";
    let seen = format!("it sees less: those of {count} layers. {}", ended.stderr);
    expect(count == "100", expected, &seen, "which layers are in lowerdir")?;
    let seen = format!("on top is {top}");
    let last = names.last().is_some_and(|last| last == top);
    expect(last, "the layer with the last name is on top", &seen, "the order of lowerdir")
}
