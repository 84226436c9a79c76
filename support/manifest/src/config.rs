//! What pods read: ConfigMaps and Secrets.

use std::collections::BTreeMap;

/// Texts by keys.
#[derive(Debug, Default)]
pub struct ConfigMap {
    /// Its name, which no other ConfigMap of the file has.
    pub name: String,
    /// Texts.
    pub data: BTreeMap<String, String>,
    /// Bytes, which are for files only.
    pub binary_data: BTreeMap<String, Vec<u8>>,
}

/// Bytes by keys, written as base64 or as texts (`stringData`, which counts).
#[derive(Debug, Default)]
pub struct Secret {
    /// Its name, which no other Secret of the file has.
    pub name: String,
    /// Its bytes.
    pub data: BTreeMap<String, Vec<u8>>,
}
