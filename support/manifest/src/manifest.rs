//! From a file to a pod.

use crate::checks::check;
use crate::config::{ConfigMap, Secret};
use crate::document;
use crate::fault::Fault;
use crate::fields::config::{config_map, secret};
use crate::fields::pod::{pod, pod_of_template};
use crate::mapping::{Fields, Found};
use crate::node::Node;
use crate::objects::{Object, choose, hint, list};
use crate::place::{Place, shortened};
use crate::pod::{Container, Pod, RestartPolicy};
use crate::values::subdomain;
use crate::variables::{Room, Variables};
use anyhow::Result;
use std::collections::HashSet;
use std::mem;

/// How many of the fields that are passed over are told: the line is for a person.
const MOST_TOLD: usize = 20;

/// Which pod of a file is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The first that stands there as such.
    #[default]
    Pod,
    /// That of the one object that makes pods.
    Template,
    /// That of the object with this name.
    TemplateOf(String),
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The pod that is wanted.
    pub pod: Pod,
    /// The ConfigMaps beside it.
    pub config_maps: Vec<ConfigMap>,
    /// The Secrets beside it.
    pub secrets: Vec<Secret>,
    /// What is told of it, a line each.
    pub notes: Vec<String>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// All fields that are not known here, and all values that are wrong, each with its path and
    /// line.
    pub fn read(text: &str, wanted: &Wanted) -> Result<Manifest> {
        let documents = document::read(text)?;
        let objects = Object::all_of(&documents)?;
        let chosen = choose(&objects, wanted)?;
        let mut found = Found::default();
        let config_maps = of_kind("ConfigMap", &objects, config_map, &mut found)?;
        let secrets = of_kind("Secret", &objects, secret, &mut found)?;
        found.passed_over.clear(); // what is told is told of the pod
        let (mut pod, node) = pod_of(chosen, &mut found)?;
        found.faults.told()?;
        if pod.hostname.is_empty() {
            let name = pod.name.get(..63).unwrap_or(&pod.name);
            pod.hostname = name.trim_end_matches(['-', '.']).to_owned();
        }
        if let Some(spec) = node.field("spec")? {
            expand_variables(&mut pod, spec)?;
            check(&pod, spec)?;
        }
        let others = others(&objects, chosen);
        let notes = others.into_iter().chain(told(found.passed_over)).collect();
        Ok(Manifest { pod, config_maps, secrets, notes })
    }
}

/// The pod of an object, and where it stands.
fn pod_of<'a>(object: &Object<'a>, found: &mut Found) -> Result<(Pod, &'a Node)> {
    let Some(template) =
        object.template(|beside| found.passed_over.push(beside.place().clone()))?
    else {
        object.has_version("v1")?;
        return Ok((found.mapping(object.node, pod), object.node));
    };
    let pod = found.mapping(template, pod_of_template);
    let name = found.faults.unless(name_of(object));
    let ends = matches!(&*object.kind, "Job" | "CronJob");
    if (pod.restart_policy == RestartPolicy::Always) == ends {
        found.faults.add(template.wrong(format_args!(
            "its restartPolicy is {:?}, and to a {} it can only be {}",
            pod.restart_policy,
            object.kind,
            if ends { "OnFailure or Never" } else { "Always" }
        )));
    }
    let name = if object.kind == "StatefulSet" { format!("{name}-0") } else { name };
    Ok((Pod { name, ..pod }, template))
}

fn name_of(object: &Object) -> Result<String, Fault> {
    subdomain(object.node.needed("metadata")?.needed("name")?)
}

/// The objects of a kind beside the pod.
fn of_kind<T: Default>(
    kind: &str,
    objects: &[Object],
    read: fn(&mut Fields) -> T,
    found: &mut Found,
) -> Result<Vec<T>, Fault> {
    let mut names = HashSet::new();
    let mut all = Vec::new();
    for object in objects.iter().filter(|it| it.kind == kind) {
        object.has_version("v1")?;
        if !names.insert(&object.name) {
            let what = format!("two {kind}s have the name {:?}", shortened(&object.name));
            found.faults.add(object.node.wrong(what));
        }
        all.push(found.mapping(object.node, read));
    }
    Ok(all)
}

/// Tells which objects are not run.
fn others(objects: &[Object], chosen: &Object) -> Option<String> {
    let is_used = |it: &&Object| {
        ["ConfigMap", "Secret"].contains(&&*it.kind) || std::ptr::eq(it.node, chosen.node)
    };
    let others = || objects.iter().filter(|it| !is_used(it));
    others().next()?;
    Some(format!("only the {chosen} is run, not {}{}", list(others()), hint(others())))
}

/// Tells what is passed over, lest somebody waits for it.
fn told(mut passed_over: Vec<Place>) -> Option<String> {
    passed_over.sort_by_key(Place::position);
    let told: Vec<_> = passed_over.iter().take(MOST_TOLD).map(Place::path).collect();
    let end = match passed_over.len() - told.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let told = told.join(", ");
    (!told.is_empty())
        .then(|| format!("for one pod on this machine these fields change nothing: {told}{end}"))
}

impl Pod {
    /// Reads a manifest, and nothing is told of it.
    ///
    /// # Errors
    /// Those of [`Manifest::read`].
    pub fn read(text: &str) -> Result<Pod> {
        Manifest::read(text, &Wanted::Pod).map(|manifest| manifest.pod)
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
