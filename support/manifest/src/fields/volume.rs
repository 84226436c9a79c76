//! The fields of a volume, and of its place in a container.

use crate::mapping::Fields;
use crate::pod::{Mount, Source, Volume};
use crate::values::{boolean, filled, host_path, label, mount_path};

/// A volume of a pod.
pub(crate) fn volume(fields: &mut Fields) -> Volume {
    Volume { name: fields.required("name", label), source: source(fields) }
}

fn source(fields: &mut Fields) -> Source {
    let path = fields.mapping("hostPath", |fields| fields.required("path", host_path));
    let empty = fields.mapping("emptyDir", |_| ());
    if path.is_some() && empty.is_some() {
        fields.refuse("it is both a hostPath and an emptyDir");
    }
    path.map_or(Source::EmptyDir, Source::HostPath) // as Kubernetes has it
}

/// A volume in a container.
pub(crate) fn mount(fields: &mut Fields) -> Mount {
    Mount {
        volume: fields.required("name", filled),
        path: fields.required("mountPath", mount_path),
        read_only: fields.optional("readOnly", boolean) == Some(true),
    }
}
