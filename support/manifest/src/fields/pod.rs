//! The fields of a pod.

use super::container::{container, security_context};
use super::metadata::{metadata, metadata_of_template};
use super::volume::volume;
use crate::mapping::Fields;
use crate::node::Node;
use crate::pod::Pod;
use crate::values::{
    boolean, integer, is_false, is_true, label, list, mapping, one_of, restart_policy, seconds,
    text, texts_by_name,
};
use std::time::Duration;

/// A pod, as it is in a file.
pub(crate) fn pod(fields: &mut Fields) -> Pod {
    for seen_already in ["apiVersion", "kind"] {
        fields.required(seen_already, text);
    }
    let name = fields.required_mapping("metadata", metadata);
    fields.pass_over("status", mapping);
    Pod { name, ..fields.required_mapping("spec", spec) }
}

/// A pod as something that makes pods has it. The name is missing.
pub(crate) fn pod_of_template(fields: &mut Fields) -> Pod {
    fields.mapping("metadata", metadata_of_template);
    fields.required_mapping("spec", spec)
}

/// All but the name, which stands in `metadata`.
fn spec(fields: &mut Fields) -> Pod {
    for_a_cluster(fields);
    of_the_host(fields);
    let security_context = fields.mapping("securityContext", security_context);
    let mut pod = Pod {
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
    };
    // What a container says itself counts.
    let user = security_context.and_then(|it| it.run_as_user);
    for container in pod.init_containers.iter_mut().chain(&mut pod.containers) {
        let of_container = &mut container.security_context.run_as_user;
        *of_container = of_container.or(user);
    }
    pod
}

/// Where in a cluster the pod runs, and whom it knows there.
fn for_a_cluster(fields: &mut Fields) {
    fields.pass_over("affinity", mapping);
    fields.pass_over("automountServiceAccountToken", boolean);
    fields
        .pass_over("dnsPolicy", |node| one_of(node, &["ClusterFirst", "ClusterFirstWithHostNet"]));
    fields.pass_over("enableServiceLinks", boolean);
    fields.pass_over("imagePullSecrets", list);
    fields.pass_over("nodeName", text);
    fields.pass_over("nodeSelector", texts_by_name);
    fields.pass_over("preemptionPolicy", |node| one_of(node, &["Never", "PreemptLowerPriority"]));
    fields.pass_over("priority", integer);
    fields.pass_over("priorityClassName", text);
    fields.pass_over("readinessGates", list);
    fields.pass_over("schedulerName", text);
    fields.pass_over("serviceAccount", text);
    fields.pass_over("serviceAccountName", text);
    fields.pass_over("tolerations", list);
    fields.pass_over("topologySpreadConstraints", list);
}

/// What a pod can have of the host: here it has none of it.
fn of_the_host(fields: &mut Fields) {
    for field in ["hostIPC", "hostNetwork", "hostPID", "setHostnameAsFQDN"] {
        fields.only(field, is_false, "here it can only be false");
    }
    fields.only("hostUsers", is_true, "here it can only be true");
    fields.mapping("os", |fields| {
        let is_linux = |node: &Node| Ok(node.text()? == "linux");
        fields.only("name", is_linux, "here it can only be linux");
    });
}
