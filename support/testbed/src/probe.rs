//! Code of ours that runs inside a container: the test binary itself, copied in.
//!
//! A container holds busybox and no libraries, so the libraries of this process go along, and the
//! dynamic loader is called by name (man 8 ld.so).

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;

use crate::host::{EXE, Host};
use crate::tcp;
use crate::udp;
use crate::website::{WHO_ARE_YOU, tell_who_visits};

/// The first argument of a test binary that shall be a probe.
pub(crate) const PROBE: &str = "--probe";

impl Host {
    /// Copies this test binary into a rootfs, below /probe, and returns the command that runs the
    /// probe `name` there.
    pub fn install_probe(&self, rootfs: &Path, name: &str) -> Vec<String> {
        let directory = rootfs.join("probe");
        fs::create_dir(&directory).unwrap();
        self.give(&directory);
        fs::copy(EXE, directory.join("exe")).unwrap();
        let mut loader = None;
        for library in libraries() {
            let file_name = library.file_name().unwrap().to_str().unwrap();
            fs::copy(&library, directory.join(file_name)).unwrap();
            if file_name.starts_with("ld-") {
                loader = Some(format!("/probe/{file_name}"));
            }
        }
        let mut command: Vec<String> = loader
            .map(|loader| vec![loader, "--library-path".into(), "/probe".into()])
            .unwrap_or_default();
        command.extend(["/probe/exe".into(), PROBE.into(), name.into()]);
        command
    }
}

/// The shared libraries of this process, the loader among them; none if it is static.
fn libraries() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    paths.filter(|path| path.contains(".so")).map(PathBuf::from).collect()
}

/// The other side: runs the probe of this name, with what else is on its command line.
pub(crate) fn run(name: &str, argument: &str) {
    match name {
        "escape" => escape(),
        "serve" => tcp::serve(argument).unwrap(),
        "serve-late" => tcp::serve_late(argument).unwrap(),
        "serve-datagrams" => udp::serve(argument).unwrap(),
        "identify" => match tcp::identify(argument.parse().unwrap()) {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("{error}"),
        },
        "ask-datagrams" => {
            let client = udp::connect(argument.parse().unwrap()).unwrap();
            match udp::ask(&client, b"x") {
                Ok((seen, _)) => println!("{}", seen.ip()),
                Err(error) => println!("{error}"),
            }
        }
        WHO_ARE_YOU => tell_who_visits().unwrap(),
        "type" => println!("typed at {}", type_at_every_terminal(argument)),
        other => panic!("there is no probe {other}"),
    }
}

/// The classic way out of a chroot: chroot(2) does not move the working directory. Below a new
/// root it is outside of that root, and from outside nothing stops `..` (man 2 chroot).
fn escape() {
    fs::create_dir("/probe/deeper").unwrap();
    nix::unistd::chroot("/probe/deeper").unwrap();
    for _ in 0..64 {
        env::set_current_dir("..").unwrap();
    }
    nix::unistd::chroot(".").unwrap();
    let is_outside = Path::new(EXE).exists();
    println!("{}", if is_outside { "outside" } else { "inside" });
}

/// Types a line (TIOCSTI of ioctl_tty(2)) at the controlling terminal, and at every terminal that a
/// process in sight has open. At how many that worked.
fn type_at_every_terminal(line: &str) -> usize {
    let all = ["/proc/self/fd", "/dev"].map(PathBuf::from);
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|it| it.path().join("fd"));
    let files = all.into_iter().chain(processes).filter_map(|path| fs::read_dir(path).ok());
    let files = files.flatten().flatten().map(|file| file.path());
    files.filter(|path| type_at(path, line).is_ok()).count()
}

fn type_at(path: &Path, line: &str) -> std::io::Result<()> {
    if !fs::metadata(path)?.file_type().is_char_device() {
        return Err(Errno::ENOTTY.into());
    }
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let terminal = fs::File::options().read(true).custom_flags(flags).open(path)?;
    for byte in line.bytes().chain([b'\n']) {
        // SAFETY: TIOCSTI reads one byte, from a place that is valid during the call.
        let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const byte) };
        Errno::result(result)?;
    }
    Ok(())
}
