//! The victims: what of the host an attack is aimed at, made for it, and how the harm is seen.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::gethostname;

use super::attacker::{FROM_HERE, MARK};
use super::container::{memory_limit, process_limit};
use super::session::Session;
use super::target::{SECRET, Target, Victim};
use crate::system_calls;
use workshop::host;

/// No victim: the attacker's success is the harm, and none is done.
pub(super) const NOBODY: Victim = |_| Ok(Target::seen_by(Vec::new(), |_, _| Ok(true)));

pub(super) const SECRET_FILE: Victim = |session| {
    let path = session.secret_file(SECRET)?;
    Ok(Target::with_secret(vec![path]))
};

pub(super) const OPEN_DIRECTORY: Victim = |session| {
    let path = PathBuf::from(session.secret_file(SECRET)?);
    let directory = leak(path.parent().context("a file has a directory")?)?;
    let number = directory.as_raw_fd().to_string();
    let mut target = Target::with_secret(vec![number, name_of(&path)]);
    target.leaked = Some(directory);
    Ok(target)
};

/// The same for who stands in that directory, or somewhere else outside.
pub(super) const DIRECTORY: Victim = |session| {
    let path = PathBuf::from(session.secret_file(SECRET)?);
    let directory = path.parent().context("a file has a directory")?;
    let told = vec![name_of(&path), path.to_string_lossy().into_owned()];
    let mut target = Target::with_secret(told);
    target.leaked = Some(leak(directory)?);
    target.directory = Some(directory.to_owned());
    Ok(target)
};

/// A program of the host, whose directory somebody has left open.
pub(super) const PROGRAM: Victim = |session| {
    let program = session.attacker();
    let found = fs::metadata(&program).context("cannot look at a program")?;
    let file = format!("{} {}", found.dev(), found.ino());
    let mut target = Target::seen_by(Vec::new(), move |_, got| Ok(got == file));
    target.leaked = Some(leak(program.parent().context("a program has a directory")?)?);
    Ok(target)
};

/// Opens a directory for whatever this process executes: somebody has forgotten close-on-exec.
fn leak(directory: &Path) -> Result<File> {
    let directory = File::open(directory).context("cannot open a directory")?;
    fcntl(&directory, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot leak a descriptor")?;
    Ok(directory)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) const SHARED_FILE: Victim = |_| {
    let name = "attacks";
    fs::write(Path::new("/dev/shm").join(name), SECRET).context("cannot write to /dev/shm")?;
    Ok(Target::with_secret(vec![name.to_owned()]))
};

fn process(session: &Session, leads_group: bool) -> Result<Child> {
    let mut victim = Command::new(session.busybox());
    victim.args(["sleep", "1000"]).env(SECRET, "x").stdin(Stdio::null());
    victim.stdout(Stdio::null()).stderr(Stdio::null());
    if leads_group {
        victim.process_group(0);
    }
    victim.spawn().context("cannot start a process of the host")
}

pub(super) const PROCESS: Victim = |session| {
    let victim = process(session, false)?.id().to_string();
    let secret = session.secret_file(SECRET)?;
    // Its command line, its environment, or its file.
    let is_harmed = |_: &Session, got: &str| Ok(got.contains("sleep 1000") || got.contains(SECRET));
    Ok(Target::seen_by(vec![victim, secret], is_harmed))
};

pub(super) const PROCESS_TO_KILL: Victim = |session| {
    let mut victim = process(session, false)?;
    let pid = victim.id().to_string();
    Ok(Target::seen_by(vec![pid], move |_, _| has_ended(&mut victim)))
};

/// A process of the group that the launcher is started in: the other side of a pipe, say, or the
/// script that starts both.
pub(super) const GROUP: Victim = |session| {
    let mut victim = process(session, true)?;
    let group = victim.id();
    let mut target = Target::seen_by(Vec::new(), move |_, _| has_ended(&mut victim));
    target.group = Some(group);
    Ok(target)
};

/// A signal is sent at once, and takes effect when the victim runs next.
fn has_ended(victim: &mut Child) -> Result<bool> {
    for _ in 0..200 {
        if victim.try_wait().context("cannot look at the victim")?.is_some() {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(false)
}

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
    let mut talk = Some(thread::spawn(move || {
        while !is_over_too.load(Ordering::Relaxed) {
            // Whoever hears nothing says so.
            let _ = socket.send_to(SECRET.as_bytes(), own);
            thread::sleep(Duration::from_millis(5));
        }
    }));
    Ok(Target::seen_by(vec![SECRET.to_owned()], move |_, got| {
        is_over.store(true, Ordering::Relaxed);
        let _ = talk.take().map(thread::JoinHandle::join);
        Ok(got == SECRET)
    }))
};

pub(super) const MEMORY_OF_MACHINE: Victim = |session| {
    let told = ["128"].into_iter().chain(memory_limit(session.limited_step()));
    Ok(Target::seen_by(told.map(str::to_owned).collect(), |_, got| Ok(got == "128 MiB")))
};

pub(super) const NUMBERS_OF_MACHINE: Victim = |session| {
    let told = ["100"].into_iter().chain(process_limit(session.limited_step()));
    Ok(Target::seen_by(told.map(str::to_owned).collect(), |_, got| Ok(got == "100 processes")))
};

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
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno).context("cannot read from the terminal"),
        }
    }))
};

pub(super) const HANDLE: Victim = |session| {
    let path = session.secret_file(SECRET)?;
    let handle = system_calls::handle_of(Path::new(&path)).context("cannot make a handle")?;
    Ok(Target::with_secret(words_of(handle)))
};

/// The host's mount namespace, where a secret lies.
pub(super) const NAMESPACE: Victim = |session| {
    let path = session.secret_file(SECRET)?;
    let handle = match system_calls::handle_of(Path::new("/proc/self/ns/mnt")) {
        // This kernel has no such handles, as the attacker will find out, too.
        Err(Errno::EOPNOTSUPP) => {
            let (kind, length) = system_calls::HANDLE_OF_NAMESPACE;
            (kind, vec![0; length])
        }
        handle => handle.context("cannot make a handle of a namespace")?,
    };
    Ok(Target::with_secret([path].into_iter().chain(words_of(handle)).collect()))
};

/// The kind of a handle, and its bytes.
fn words_of((kind, bytes): (i32, Vec<u8>)) -> Vec<String> {
    let numbers = [kind].into_iter().chain(bytes.into_iter().map(i32::from));
    numbers.map(|number| number.to_string()).collect()
}

pub(super) const KEY: Victim = |_| {
    let name = "attacks";
    // This process leaves the keyring that it was started with: that is somebody else's.
    match system_calls::make_session_keyring(name, SECRET.as_bytes()) {
        Ok(()) | Err(Errno::ENOSYS) => {} // as the attacker will find out, too
        Err(errno) => return Err(errno).context("cannot make a keyring"),
    }
    Ok(Target::with_secret(vec![name.to_owned()]))
};

/// A file that the caller adds the output to, and that has a secret in it already.
pub(super) const LOG: Victim = |session| {
    let path = PathBuf::from(session.secret_file(SECRET)?);
    let log = path.clone();
    let mut target = Target::seen_by(Vec::new(), move |_, got| {
        let left = fs::read_to_string(&log).context("cannot read the log")?;
        Ok(got.contains(SECRET) || !left.contains(SECRET))
    });
    target.log = Some(path);
    Ok(target)
};

/// The host's /dev/null, which here is one of its own, and the standard input.
pub(super) const NULL: Victim = |_| {
    Ok(Target::seen_by(Vec::new(), |_, _| {
        let null = fs::metadata("/dev/null").context("cannot look at /dev/null")?;
        Ok(null.mode() & 0o777 == 0)
    }))
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
