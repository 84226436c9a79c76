//! Programs that a launcher starts are never found by accident: not in the directory that the
//! caller happens to be in, be PATH empty, relative or not there at all.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::elsewhere::bind;
use crate::{Host, Outcome, Suite};

pub fn add(suite: Suite) -> Suite {
    suite
        .both("no_program_by_accident", none_of_the_callers_directory)
        .both("no_program_by_accident_when_busybox_is_fetched", none_when_busybox_is_fetched)
        .both("no_program_by_accident_for_the_busybox_of_choice", busybox_of_the_callers_choice)
}

/// Everything that a launcher starts, and what that starts in turn.
const NAMES: [&str; 11] = [
    "nft",
    "iptables-legacy",
    "busybox",
    "apt-get",
    "dpkg-deb",
    "dpkg",
    "tar",
    "gzip",
    "xz",
    "cp",
    "mkdir",
];

/// What PATH can be; `None` is: not there. (An empty entry means the current directory.)
const PATHS: [Option<&str>; 8] = [
    None,
    Some(""),
    Some(":"),
    Some(":/usr/bin:/bin"),
    Some("/no/such/directory::/usr/bin:/bin:"),
    Some("."),
    Some("../traps:./:/usr/bin:/bin"),
    Some("below\n/etc/passwd:/usr/bin:/bin"),
];

/// A directory with programs of all these names, which leave a mark when they run.
struct Traps {
    directory: PathBuf,
    mark: PathBuf,
}

impl Traps {
    fn set(host: &Host) -> Traps {
        let directory = host.dir("traps");
        let mark = directory.join("mark");
        fs::write(&mark, "").unwrap();
        host.give(&mark);
        for below in ["", "below\n"] {
            fs::create_dir_all(directory.join(below)).unwrap();
            for name in NAMES {
                let text = format!("#!/bin/sh\necho \"$0 $*\" >>{}\nexit 1\n", mark.display());
                program(&directory.join(below).join(name), &text);
            }
        }
        Traps { directory, mark }
    }

    #[track_caller]
    fn assert_nobody_came(&self, path: Option<&str>) {
        assert_eq!(fs::read_to_string(&self.mark).unwrap(), "", "with the PATH {path:?}");
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

fn none_of_the_callers_directory(host: &Host) {
    let traps = Traps::set(host);
    for path in PATHS {
        let mut launcher = host.launcher();
        launcher.current_dir(&traps.directory).args(["echo", "it runs"]).env_remove("PATH");
        launcher.envs(path.map(|path| ("PATH", path)));
        let outcome = Outcome::of(&mut launcher);
        traps.assert_nobody_came(path);
        assert_eq!(outcome.text(), "it runs\n", "with the PATH {path:?}");
    }
}

/// The package manager is not the machine's here: it has the package at once. But, as that does,
/// it calls other programs by their names.
fn none_when_busybox_is_fetched(host: &Host) {
    if ["apt-get", "dpkg-deb"].iter().any(|name| !Path::new("/usr/bin").join(name).exists()) {
        host.skip("there is no apt-get here");
    }
    let traps = Traps::set(host);
    let manager = host.dir("manager");
    program(&manager.join("apt-get"), "#!/bin/sh\ncase $* in *download*) : >x.deb;; esac\n");
    let unpack = format!(
        "#!/bin/sh\nmkdir -p \"$3/bin\" && tar --version >/dev/null && \
         cp {} \"$3/bin/busybox\"\n",
        host.busybox().display()
    );
    program(&manager.join("dpkg-deb"), &unpack);
    for path in PATHS {
        let mut launcher = host.launcher();
        let manager = manager.display().to_string();
        host.elsewhere(&mut launcher, move || {
            for name in ["apt-get", "dpkg-deb"] {
                bind(&format!("{manager}/{name}"), &format!("/usr/bin/{name}"))?;
            }
            ["/bin/busybox", "/usr/bin/busybox", "/sbin/busybox", "/usr/local/bin/busybox"]
                .into_iter()
                .filter(|path| Path::new(path).exists())
                .try_for_each(|path| bind("/dev/null", path))
        });
        launcher.current_dir(&traps.directory).args(["echo", "it runs"]);
        launcher.env_remove("BUSYBOX").env_remove("PATH");
        launcher.envs(path.map(|path| ("PATH", path)));
        let outcome = Outcome::of(&mut launcher);
        traps.assert_nobody_came(path);
        assert_eq!(outcome.text(), "it runs\n", "with the PATH {path:?}");
        fs::remove_dir_all(host.cache()).unwrap();
    }
}

/// Its name is a file's, not one to be looked for in PATH.
fn busybox_of_the_callers_choice(host: &Host) {
    let traps = Traps::set(host);
    for name in NAMES.into_iter().filter(|name| *name != "busybox") {
        fs::remove_file(traps.directory.join(name)).unwrap();
    }
    let chosen = host.dir("chosen");
    fs::copy(host.busybox(), chosen.join("busybox")).unwrap();
    let mut launcher = host.launcher();
    launcher.current_dir(&chosen).env("BUSYBOX", "busybox").args(["echo", "it runs"]);
    launcher.env("PATH", format!("{}:/usr/bin:/bin", traps.directory.display()));
    let outcome = Outcome::of(&mut launcher);
    traps.assert_nobody_came(None);
    assert_eq!(outcome.text(), "it runs\n");
}
