//! The fields of an object's metadata. But for the name, they are for who looks for objects.

use crate::mapping::Fields;
use crate::values::{annotations, integer, label, labels, list, prefix_of_name, subdomain, text};

/// The name of a pod. The API server puts five letters behind `generateName`; here nothing is.
pub(crate) fn metadata(fields: &mut Fields) -> String {
    let prefix = fields.optional("generateName", prefix_of_name);
    others(fields);
    match prefix {
        Some(prefix) => fields.optional("name", subdomain).unwrap_or(prefix),
        None => fields.required("name", subdomain),
    }
}

/// Of the template of a pod: its name is that of the object it is in.
pub(crate) fn metadata_of_template(fields: &mut Fields) {
    fields.pass_over("name", subdomain);
    fields.pass_over("generateName", prefix_of_name);
    others(fields);
}

fn others(fields: &mut Fields) {
    fields.pass_over("annotations", annotations);
    fields.pass_over("creationTimestamp", text);
    fields.pass_over("deletionGracePeriodSeconds", integer);
    fields.pass_over("deletionTimestamp", text);
    fields.pass_over("finalizers", list);
    fields.pass_over("generation", integer);
    fields.pass_over("labels", labels);
    fields.pass_over("managedFields", list);
    fields.pass_over("namespace", label);
    fields.pass_over("ownerReferences", list);
    fields.pass_over("resourceVersion", text);
    fields.pass_over("selfLink", text);
    fields.pass_over("uid", text);
}
