//! From a file to a pod.

use crate::checks::check;
use crate::document;
use crate::fault::Fault;
use crate::fields::pod::pod;
use crate::mapping::Found;
use crate::node::Node;
use crate::pod::{Container, Pod};
use crate::variables::{Room, Variables};
use anyhow::{Context, Result, bail};
use std::mem;

impl Pod {
    /// Reads a manifest.
    ///
    /// # Errors
    /// All fields that are not known here, and all values that are wrong, each with its path and
    /// line.
    pub fn read(text: &str) -> Result<Pod> {
        let documents = document::read(text)?;
        let top = documents.first().context("it is empty")?;
        if let Some(second) = documents.get(1) {
            bail!("it has a second document ({}): one pod at a time", second.place());
        }
        // Before all others: an object of another kind has other fields.
        exactly(top, "apiVersion", "v1")?;
        exactly(top, "kind", "Pod")?;
        let mut found = Found::default();
        let mut pod = found.mapping(top, pod);
        found.faults.told()?;
        if pod.hostname.is_empty() {
            let name = pod.name.get(..63).unwrap_or(&pod.name);
            pod.hostname = name.trim_end_matches(['-', '.']).to_owned();
        }
        if let Some(spec) = top.field("spec")? {
            expand_variables(&mut pod, spec)?;
            check(&pod, spec)?;
        }
        Ok(pod)
    }
}

fn exactly(top: &Node, name: &str, word: &str) -> Result<(), Fault> {
    let Some(node) = top.field(name)? else {
        return Err(top.wrong(format_args!("the field {name} is missing")));
    };
    match node.text()? {
        text if text == word => Ok(()),
        text => Err(node.wrong(format_args!("it is {text:?}; only {word:?} can be run here"))),
    }
}

/// Puts the values of its variables into the texts of each container.
fn expand_variables(pod: &mut Pod, spec: &Node) -> Result<(), Fault> {
    let mut room = Room::of_a_pod();
    let nodes = spec.entries("initContainers")?.iter().chain(spec.entries("containers")?);
    for (container, node) in pod.init_containers.iter_mut().chain(&mut pod.containers).zip(nodes) {
        expand(container, &mut room).map_err(|what| node.wrong(what))?;
    }
    Ok(())
}

fn expand(container: &mut Container, room: &mut Room) -> Result<(), String> {
    let env = Variables::expand(mem::take(&mut container.env), room)?;
    for word in [&mut container.command, &mut container.args].into_iter().flatten().flatten() {
        *word = env.put_into(word, room)?;
    }
    container.env = env.into_list();
    Ok(())
}
