//! The objects of a file, of which a pod is one.

use crate::fault::Fault;
use crate::node::Node;
use crate::place::shortened;
use anyhow::{Context, Result, anyhow};
use std::fmt;

/// An object of Kubernetes: what all kinds have.
pub(crate) struct Object<'a> {
    pub(crate) node: &'a Node,
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// Kinds that make pods: their version, and the way to the template.
const MAKERS: [(&str, &str, &[&str]); 7] = [
    ("CronJob", "batch/v1", &["spec", "jobTemplate", "spec", "template"]),
    ("DaemonSet", "apps/v1", &["spec", "template"]),
    ("Deployment", "apps/v1", &["spec", "template"]),
    ("Job", "batch/v1", &["spec", "template"]),
    ("ReplicaSet", "apps/v1", &["spec", "template"]),
    ("ReplicationController", "v1", &["spec", "template"]),
    ("StatefulSet", "apps/v1", &["spec", "template"]),
];

impl<'a> Object<'a> {
    /// The objects in the documents of a file, those of a List each by itself.
    ///
    /// # Errors
    /// If something in there is no object.
    pub(crate) fn all_of(documents: &'a [Node]) -> Result<Vec<Object<'a>>, Fault> {
        let mut objects = Vec::new();
        for document in documents {
            let object = Object::of(document)?;
            match &*object.kind {
                "List" => {
                    let items = document.entries("items")?;
                    objects.extend(items.iter().map(Object::of).collect::<Result<Vec<_>, _>>()?);
                }
                _ => objects.push(object),
            }
        }
        Ok(objects)
    }

    fn of(node: &'a Node) -> Result<Object<'a>, Fault> {
        node.needed("apiVersion")?.text()?;
        let kind = node.needed("kind")?.text()?.to_owned();
        let metadata = node.field("metadata").ok().flatten();
        let name = metadata.and_then(|it| it.field("name").ok().flatten()?.text().ok());
        Ok(Object { node, kind, name: name.unwrap_or_default().to_owned() })
    }

    /// Checks that its version is this one.
    ///
    /// # Errors
    /// If it is another one.
    pub(crate) fn has_version(&self, wanted: &str) -> Result<(), Fault> {
        let version = self.node.needed("apiVersion")?;
        match version.text()? {
            text if text == wanted => Ok(()),
            text => Err(version.wrong(format_args!(
                "it is {:?}; only {wanted:?} has a {} that can be run here",
                shortened(text),
                shortened(&self.kind)
            ))),
        }
    }

    /// The pod in it, that it makes copies of; none if it makes no pods. Fields beside the way there
    /// are given to `beside`.
    ///
    /// # Errors
    /// If it is not there, or the version is none that there is.
    pub(crate) fn template(
        &self,
        mut beside: impl FnMut(&'a Node),
    ) -> Result<Option<&'a Node>, Fault> {
        let Some((_, version, way)) = MAKERS.iter().find(|(kind, ..)| *kind == self.kind) else {
            return Ok(None);
        };
        self.has_version(version)?;
        let mut node = self.node;
        for (depth, step) in way.iter().enumerate() {
            let next = node.needed(step)?;
            for (key, value) in node.mapping()?.iter().filter(|_| depth > 0) {
                if !value.is_empty() && !std::ptr::eq(value, next) {
                    beside(key);
                }
            }
            node = next;
        }
        Ok(Some(node))
    }

    /// Whether it makes pods.
    pub(crate) fn makes_pods(&self) -> bool {
        MAKERS.iter().any(|(kind, ..)| *kind == self.kind)
    }
}

impl fmt::Display for Object<'_> {
    /// Such as `Deployment "web" (line 12)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, _) = self.node.place().position();
        write!(f, "{} {:?} (line {line})", shortened(&self.kind), shortened(&self.name))
    }
}

/// The one object whose pod is run.
///
/// # Errors
/// If there is none, or with `--template` more than one.
pub(crate) fn choose<'o, 'a>(
    objects: &'o [Object<'a>],
    wanted: &crate::Wanted,
) -> Result<&'o Object<'a>> {
    use crate::Wanted::{Pod, Template, TemplateOf};
    let makers = || objects.iter().filter(|it| it.makes_pods());
    let told = || list(objects.iter());
    match wanted {
        _ if objects.is_empty() => Err(anyhow!("it is empty")),
        Pod => objects
            .iter()
            .find(|it| it.kind == "Pod")
            .with_context(|| format!("it has no Pod, but {}{}", told(), hint(objects.iter()))),
        Template => match makers().collect::<Vec<_>>()[..] {
            [] => Err(anyhow!("it has nothing with the template of a pod, but {}", told())),
            [one] => Ok(one),
            _ => Err(anyhow!(
                "it has {}: say whose template to run, with --template=NAME",
                list(makers())
            )),
        },
        TemplateOf(name) => makers().find(|it| it.name == *name).with_context(|| {
            format!("it has no template of a pod in an object {name:?}, but {}", told())
        }),
    }
}

/// Some objects: the first ones, as many as a person reads.
pub(crate) fn list<'o, 'a: 'o>(objects: impl Iterator<Item = &'o Object<'a>>) -> String {
    let all: Vec<_> = objects.map(ToString::to_string).collect();
    match all.len().checked_sub(10) {
        Some(more @ 1..) => format!("{}, and {more} more", all[..10].join(", ")),
        _ => all.join(", "),
    }
}

/// What to do with those that make pods.
pub(crate) fn hint<'o, 'a: 'o>(mut objects: impl Iterator<Item = &'o Object<'a>>) -> String {
    objects.find(|it| it.makes_pods()).map_or_else(String::new, |maker| {
        format!(" (a {} makes pods: its template is one, run it with --template)", maker.kind)
    })
}
