//! The fields of a volume, and of its place in a container.

use crate::mapping::Fields;
use crate::pod::{EmptyDir, Mount, Source, Volume};
use crate::values::{boolean, filled, host_path, label, medium, memory, mount_path};

/// A volume of a pod.
pub(crate) fn volume(fields: &mut Fields) -> Volume {
    Volume { name: fields.required("name", label), source: source(fields) }
}

fn source(fields: &mut Fields) -> Source {
    let path = fields.mapping("hostPath", |fields| fields.required("path", host_path));
    let empty = fields.mapping("emptyDir", empty_dir);
    if path.is_some() && empty.is_some() {
        fields.refuse("it is both a hostPath and an emptyDir");
    }
    match path {
        Some(path) => Source::HostPath(path),
        None => Source::EmptyDir(empty.unwrap_or_default()),
    }
}

fn empty_dir(fields: &mut Fields) -> EmptyDir {
    EmptyDir {
        medium: fields.optional("medium", medium).unwrap_or_default(),
        size_limit: fields.optional("sizeLimit", memory).flatten(),
    }
}

/// A volume in a container.
pub(crate) fn mount(fields: &mut Fields) -> Mount {
    Mount {
        volume: fields.required("name", filled),
        path: fields.required("mountPath", mount_path),
        read_only: fields.optional("readOnly", boolean) == Some(true),
    }
}
