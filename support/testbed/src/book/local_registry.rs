//! A registry with small images, at a port of the reader's own machine, for the blocks that ask one.

use std::fs;
use std::path::Path;

use super::is_here;
use super::page::Page;
use super::transcript::{Machine, REGISTRY};
use crate::Host;
use crate::registry::{Registry, small_image};

/// Where the pages ask for it: localhost, and this.
const PORT: u16 = 5000;
/// What it has. In each of them /etc/image has its name.
const IMAGES: [&str; 2] = ["hello", "web"];

/// A registry, filled.
pub struct LocalRegistry {
    _registry: Registry,
}

impl LocalRegistry {
    /// Whether the programs are here.
    pub fn can_be() -> bool {
        ["docker-registry", "skopeo"].into_iter().all(is_here)
    }

    /// Starts it, if a block of the page asks for that and the machine can have one.
    pub fn wanted_by(page: &Page, machine: Machine, host: &Host) -> Option<LocalRegistry> {
        let asks = |line: &String| {
            let words = line.strip_prefix("```console,").unwrap_or_default();
            words.split(',').any(|word| word == REGISTRY)
        };
        let is_wanted = machine.has_registry && page.lines.iter().any(asks);
        is_wanted.then(|| LocalRegistry::start(host))
    }

    /// Starts it; ends the trial as ignored where the programs are missing.
    pub fn start(host: &Host) -> LocalRegistry {
        let registry = Registry::plain(host, PORT);
        for name in IMAGES {
            registry.put(&small_image(host, name), name);
            // The reader makes files in /tmp, too.
            fs::remove_dir_all(Path::new("/tmp").join(name)).expect("remove what was copied");
        }
        LocalRegistry { _registry: registry }
    }
}
