//! The victims: what of the host an attack is aimed at, made for it, and how the harm is seen.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::gethostname;

use super::attacker::{FROM_HERE, MARK};
use super::session::Session;
use crate::exercises::host;
use crate::system_calls;

/// Makes a victim.
pub(super) type Victim = fn(&Session) -> Result<Target>;

/// A victim that was made: what the attacker is told, and how the harm is seen.
pub(super) struct Target {
    pub told: Vec<String>,
    pub is_harmed: IsHarmed,
    /// A descriptor that the launcher inherits beside the usual ones.
    pub leaked: Option<File>,
    /// The launcher to use, if that is the victim.
    pub launcher: Option<PathBuf>,
}

/// From what the attacker says that it has got to whether that is the victim's.
type IsHarmed = Box<dyn FnOnce(&Session, &str) -> Result<bool>>;

/// What no process knows but the victim.
const SECRET: &str = "secret-of-the-host";

impl Target {
    /// A victim that has a secret, which the attacker must bring home.
    fn with_secret(told: Vec<String>) -> Target {
        Target::seen_by(told, |_, got| Ok(got.contains(SECRET)))
    }

    fn seen_by(
        told: Vec<String>,
        is_harmed: impl FnOnce(&Session, &str) -> Result<bool> + 'static,
    ) -> Target {
        Target { told, is_harmed: Box::new(is_harmed), leaked: None, launcher: None }
    }
}

/// No victim: the attacker's success is the harm, and none is done.
pub(super) const NOBODY: Victim = |_| Ok(Target::seen_by(Vec::new(), |_, _| Ok(true)));

pub(super) const SECRET_FILE: Victim = |session| {
    let path = session.secret_file(SECRET)?;
    Ok(Target::with_secret(vec![path]))
};

pub(super) const OPEN_DIRECTORY: Victim = |session| {
    let path = session.secret_file(SECRET)?;
    let path = Path::new(&path);
    let directory = path.parent().context("a file has a directory")?;
    let directory = File::open(directory).context("cannot open a directory")?;
    // Inherited by whatever this process executes: somebody has forgotten close-on-exec.
    fcntl(&directory, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot leak a descriptor")?;
    let number = directory.as_raw_fd().to_string();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut target = Target::with_secret(vec![number, name.unwrap_or_default()]);
    target.leaked = Some(directory);
    Ok(target)
};

pub(super) const SHARED_FILE: Victim = |_| {
    let name = "attacks";
    fs::write(Path::new("/dev/shm").join(name), SECRET).context("cannot write to /dev/shm")?;
    Ok(Target::with_secret(vec![name.to_owned()]))
};

fn process(session: &Session) -> Result<Child> {
    let mut victim = Command::new(session.busybox());
    victim.args(["sleep", "1000"]).env(SECRET, "x").stdin(Stdio::null());
    victim.stdout(Stdio::null()).stderr(Stdio::null());
    victim.spawn().context("cannot start a process of the host")
}

pub(super) const PROCESS: Victim = |session| {
    let victim = process(session)?.id().to_string();
    let secret = session.secret_file(SECRET)?;
    // Its command line, its environment, or its file.
    let is_harmed = |_: &Session, got: &str| Ok(got.contains("sleep 1000") || got.contains(SECRET));
    Ok(Target::seen_by(vec![victim, secret], is_harmed))
};

pub(super) const PROCESS_TO_KILL: Victim = |session| {
    let mut victim = process(session)?;
    let pid = victim.id().to_string();
    Ok(Target::seen_by(vec![pid], move |_, _| {
        // A signal is sent at once, and takes effect when the victim runs next.
        for _ in 0..200 {
            if victim.try_wait().context("cannot look at the victim")?.is_some() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }))
};

/// The memory of this process itself.
pub(super) const MEMORY: Victim = |_| {
    system_calls::allow_any_tracer();
    let secret: &'static [u8] = Box::leak(SECRET.as_bytes().to_vec().into_boxed_slice());
    let numbers = [std::process::id() as usize, secret.as_ptr().addr(), secret.len()];
    Ok(Target::with_secret(numbers.map(|number| number.to_string()).to_vec()))
};

pub(super) const HOSTNAME: Victim = |_| {
    Ok(Target::seen_by(vec!["renamed".to_owned()], |_, _| {
        let name = gethostname().context("cannot read the hostname")?;
        Ok(name != host::NAME)
    }))
};

pub(super) const LOOPBACK_SERVICE: Victim = |_| service(Ipv4Addr::LOCALHOST);
pub(super) const ABSTRACT_SERVICE: Victim = |_| {
    let name = "attacks";
    let listener = SocketAddr::from_abstract_name(name)
        .and_then(|address| UnixListener::bind_addr(&address))
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .context("cannot make an abstract socket")?;
    let has_called = move |_: &Session, _: &str| match listener.accept() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("cannot look for connections"),
    };
    Ok(Target::seen_by(vec![name.to_owned()], has_called))
};

/// What listens on all addresses; a container is told where the bridge is by its routes.
pub(super) const SERVICE_ON_ALL: Victim = |_| {
    const BRIDGE: &str = "10.61.0.1";
    let mut target = service(Ipv4Addr::UNSPECIFIED)?;
    target.told.push(BRIDGE.to_owned());
    Ok(target)
};

fn service(address: Ipv4Addr) -> Result<Target> {
    let listener = TcpListener::bind((address, 0))
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .context("cannot make a service")?;
    let port = listener.local_addr().context("cannot read a port")?.port();
    let has_called = move |_: &Session, _: &str| match listener.accept() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("cannot look for connections"),
    };
    Ok(Target::seen_by(vec![port.to_string()], has_called))
}

/// Tells a secret to itself, again and again, until the attack is over.
pub(super) const TALK: Victim = |_| {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot make a socket")?;
    let own = socket.local_addr().context("cannot read a port")?;
    let is_over = Arc::new(AtomicBool::new(false));
    let is_over_too = Arc::clone(&is_over);
    let talk = thread::spawn(move || {
        while !is_over_too.load(Ordering::Relaxed) {
            // Whoever hears nothing says so.
            let _ = socket.send_to(SECRET.as_bytes(), own);
            thread::sleep(Duration::from_millis(5));
        }
    });
    Ok(Target::seen_by(vec![SECRET.to_owned()], move |_, got| {
        is_over.store(true, Ordering::Relaxed);
        let _ = talk.join();
        Ok(got == SECRET)
    }))
};

pub(super) const MEMORY_OF_MACHINE: Victim =
    |_| Ok(Target::seen_by(vec!["128".to_owned()], |_, got| Ok(got == "128 MiB")));

pub(super) const NUMBERS_OF_MACHINE: Victim =
    |_| Ok(Target::seen_by(vec!["100".to_owned()], |_, got| Ok(got == "100 processes")));

/// What the next container sees; on the host, in place of it, the file itself.
pub(super) const NEXT_CONTAINER: Victim = |session| {
    let name = "spoiled";
    let inside = Path::new(FROM_HERE).join(name);
    let on_host = session.rootfs().join(inside.strip_prefix("/").unwrap_or(&inside));
    let place = if session.is_on_host() { &on_host } else { &inside };
    let told = vec![place.to_string_lossy().into_owned(), SECRET.to_owned()];
    let is_harmed = move |session: &Session, _: &str| {
        Ok(session.next_reads(&inside, &on_host)?.contains(SECRET))
    };
    Ok(Target::seen_by(told, is_harmed))
};

pub(super) const SYSTEM_V_MEMORY: Victim = |_| {
    const KEY: i32 = 0x5354_4550;
    system_calls::share_memory(KEY, SECRET.as_bytes()).context("cannot share memory")?;
    Ok(Target::with_secret(vec![KEY.to_string(), SECRET.len().to_string()]))
};

pub(super) const TERMINAL: Victim = |session| {
    let master = session.terminal().context("there is no terminal")?;
    Ok(Target::seen_by(vec!["x".to_owned()], move |_, _| {
        let mut seen = [0; 64];
        // The terminal shows what is typed.
        match nix::unistd::read(&master, &mut seen) {
            Ok(length) => Ok(seen[..length].contains(&b'x')),
            Err(nix::errno::Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno).context("cannot read from the terminal"),
        }
    }))
};

pub(super) const HANDLE: Victim = |session| {
    let path = session.secret_file(SECRET)?;
    let (kind, bytes) =
        system_calls::handle_of(Path::new(&path)).context("cannot make a handle")?;
    let numbers = [kind].into_iter().chain(bytes.into_iter().map(i32::from));
    Ok(Target::with_secret(numbers.map(|number| number.to_string()).collect()))
};

pub(super) const HIERARCHY: Victim = |_| {
    let name = format!("attacks-{}", std::process::id());
    Ok(Target::seen_by(vec![name], |_, _| Ok(true)))
};

/// The file of the launcher. Its time of change tells who was there.
pub(super) const LAUNCHER: Victim = |session| {
    let launcher = session.own_launcher()?;
    if session.is_on_host() {
        let mut running = Command::new(&launcher);
        running.args(["sleep", "1000"]).stdin(Stdio::null());
        running.stdout(Stdio::null()).stderr(Stdio::null());
        running.spawn().context("cannot start a process of the host")?;
    }
    let path = launcher.clone();
    let is_harmed = move |_: &Session, _: &str| {
        let found = fs::metadata(&path).context("cannot look at the launcher")?;
        Ok(found.mtime() == MARK)
    };
    let mut told = vec![launcher.to_string_lossy().into_owned()];
    told.extend(session.fifo_of_pod()?);
    let mut target = Target::seen_by(told, is_harmed);
    target.launcher = Some(launcher);
    Ok(target)
};
