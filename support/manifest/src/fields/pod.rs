//! The fields of a pod.

use super::container::container;
use super::volume::volume;
use crate::mapping::Fields;
use crate::pod::Pod;
use crate::values::{boolean, label, restart_policy, seconds, subdomain, text};
use std::time::Duration;

/// A pod, as it is in a file.
pub(crate) fn pod(fields: &mut Fields) -> Pod {
    for seen_already in ["apiVersion", "kind"] {
        fields.required(seen_already, text);
    }
    let name = fields.required_mapping("metadata", |fields| fields.required("name", subdomain));
    let pod = fields.required_mapping("spec", spec);
    Pod { name, ..pod }
}

/// All but the name, which stands in `metadata`.
fn spec(fields: &mut Fields) -> Pod {
    Pod {
        name: String::new(),
        hostname: fields.optional("hostname", label).unwrap_or_default(),
        share_process_namespace: fields.optional("shareProcessNamespace", boolean) == Some(true),
        restart_policy: fields.optional("restartPolicy", restart_policy).unwrap_or_default(),
        grace_period: fields
            .optional("terminationGracePeriodSeconds", seconds)
            .unwrap_or(Duration::from_secs(30)),
        volumes: fields.list("volumes", volume),
        init_containers: fields.list("initContainers", container),
        containers: fields.required_list("containers", container),
    }
}
