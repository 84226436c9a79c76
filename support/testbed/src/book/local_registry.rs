//! A registry with small images, on the reader's own machine, for the blocks that ask one.

use std::fs;
use std::path::Path;

use super::page::Page;
use super::tools::is_here;
use super::transcript::REGISTRY;
use crate::Host;
use crate::registry::{Registry, small_image};

/// Where the pages ask for it: localhost, and this.
const PORT: u16 = 5000;
/// What it has. In each of them /etc/image has its name.
const IMAGES: [&str; 2] = ["hello", "web"];
/// What it is made of.
const PROGRAMS: [&str; 2] = ["docker-registry", "skopeo"];

/// A registry, filled.
pub struct LocalRegistry {
    registry: Registry,
}

impl LocalRegistry {
    /// Whether the programs are here.
    pub fn can_be() -> bool {
        PROGRAMS.into_iter().all(is_here)
    }

    /// Starts it, if there can be one, and a block of the page asks one that the page does not
    /// start itself.
    pub fn wanted_by(page: &Page, host: &Host) -> Option<LocalRegistry> {
        let asks = |line: &String| {
            let words = line.strip_prefix("```console,").unwrap_or_default();
            words.split(',').any(|word| word == REGISTRY)
        };
        let starts = |line: &String| line.starts_with("$ docker-registry ");
        let is_wanted = page.lines.iter().any(asks) && !page.lines.iter().any(starts);
        (is_wanted && LocalRegistry::can_be()).then(|| LocalRegistry::start(host))
    }

    fn start(host: &Host) -> LocalRegistry {
        let registry = Registry::plain(host, PORT);
        for name in IMAGES {
            registry.put(&small_image(host, name), name);
            // The reader makes files in /tmp, too.
            fs::remove_dir_all(Path::new("/tmp").join(name)).expect("remove what was copied");
        }
        LocalRegistry { registry }
    }
}

impl Drop for LocalRegistry {
    fn drop(&mut self) {
        // The next page of the book begins with a new one. Nobody pushes any more.
        if let Some(directory) = self.registry.files().parent() {
            let _ = fs::remove_dir_all(directory);
        }
    }
}
