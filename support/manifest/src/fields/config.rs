//! The fields of ConfigMaps and Secrets.

use super::metadata::metadata;
use crate::config::{ConfigMap, Secret};
use crate::mapping::Fields;
use crate::values::{boolean, bytes, config_key, text};

/// How many bytes the API server takes in one of them.
const MAX_SIZE: usize = 1 << 20;

/// A ConfigMap, as it is in a file.
pub(crate) fn config_map(fields: &mut Fields) -> ConfigMap {
    let name = head(fields);
    let data = fields.by_key("data", config_key, text);
    let binary_data = fields.by_key("binaryData", config_key, bytes);
    if let Some(both) = data.keys().find(|key| binary_data.contains_key(*key)) {
        fields.refuse(format_args!("{both:?} is in its data and in its binaryData"));
    }
    let sizes = data.values().map(String::len).chain(binary_data.values().map(Vec::len));
    limit(fields, sizes.sum());
    ConfigMap { name, data, binary_data }
}

/// A Secret, as it is in a file.
pub(crate) fn secret(fields: &mut Fields) -> Secret {
    let name = head(fields);
    fields.pass_over("type", text);
    let mut data = fields.by_key("data", config_key, bytes);
    data.extend(fields.by_key("stringData", config_key, |node| text(node).map(String::into_bytes)));
    limit(fields, data.values().map(Vec::len).sum());
    Secret { name, data }
}

fn head(fields: &mut Fields) -> String {
    for seen_already in ["apiVersion", "kind"] {
        fields.required(seen_already, text);
    }
    fields.pass_over("immutable", boolean);
    fields.required_mapping("metadata", metadata)
}

fn limit(fields: &mut Fields, size: usize) {
    if size > MAX_SIZE {
        fields.refuse("it has more than 1 MiB");
    }
}
