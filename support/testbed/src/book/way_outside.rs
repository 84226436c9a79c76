//! What is outside of the reader's machine, for the pages that ask for it.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::page::Page;
use crate::host::EXE;
use crate::probe::PROBE;
use crate::website::WHO_ARE_YOU;
use crate::{Host, Outside};

/// A page with this line has a host that is connected to another machine.
const WANTED: &str = "<!-- a host with a way outside -->";

const RESOLV_CONF: &str = "/etc/resolv.conf";
const TUN: &str = "/dev/net/tun";
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
/// The website is there in a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cable to the router, and the router: it has a website, and is the host's resolver by name.
pub struct WayOutside {
    _outside: Outside,
    website: Child,
    ip_forward: String,
}

impl WayOutside {
    /// Connects the host, if the page asks for that.
    pub fn wanted_by(page: &Page, host: &Host) -> Option<WayOutside> {
        page.lines.iter().any(|line| line == WANTED).then(|| WayOutside::connect(host))
    }

    /// Connects the host.
    pub fn connect(host: &Host) -> WayOutside {
        let outside = Outside::connect(host, "eth0");
        let website = outside.command(EXE).args([PROBE, WHO_ARE_YOU]).spawn();
        // A new network namespace has this setting of the machine's.
        let ip_forward = fs::read_to_string(IP_FORWARD).expect("read ip_forward");
        fs::write(IP_FORWARD, "0").expect("switch forwarding off");
        let website = website.expect("start the website");
        let way = WayOutside { _outside: outside, website, ip_forward };
        wait_for_website();
        if let Err(error) = give_resolver(host).and_then(|()| give_tun(host)) {
            host.skip(format!("{error:#}"));
        }
        way
    }
}

impl Drop for WayOutside {
    fn drop(&mut self) {
        let _ = umount2(RESOLV_CONF, MntFlags::MNT_DETACH);
        let _ = fs::write(IP_FORWARD, &self.ip_forward);
        let _ = self.website.kill();
        let _ = self.website.wait();
    }
}

fn wait_for_website() {
    let start = Instant::now();
    while let Err(error) = TcpStream::connect((Outside::ADDRESS, 80)) {
        assert!(start.elapsed() < PATIENCE, "the website does not answer: {error}");
        sleep(Duration::from_millis(10));
    }
}

/// So the page does not depend on whom this machine asks for names.
fn give_resolver(host: &Host) -> Result<()> {
    let ours = "/run/testbed/etc/resolv.conf";
    host.own(ours);
    fs::write(ours, format!("nameserver {}\n", Outside::ADDRESS))?;
    if fs::metadata(RESOLV_CONF).is_err() {
        // A link to a file that systemd-resolved writes in /run, which is another one here.
        let target = fs::read_link(RESOLV_CONF).context(RESOLV_CONF)?;
        let target = Path::new("/etc").join(target);
        fs::create_dir_all(target.parent().context("a file without a directory")?)?;
        fs::write(&target, "")?;
        let target = fs::canonicalize(target)?;
        let below_run = target.ancestors().find(|path| path.parent() == Some(Path::new("/run")));
        host.own(below_run.unwrap_or(&target));
    }
    mount(Some(ours), RESOLV_CONF, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .context("bind resolv.conf")
}

/// The device with which programs make network links, open to everybody, as udev has it.
fn give_tun(host: &Host) -> Result<()> {
    let directory = Path::new(TUN).parent().context("a device without a directory")?;
    fs::create_dir(directory)?;
    host.own(directory);
    match mknod(TUN, SFlag::S_IFCHR, Mode::empty(), makedev(10, 200)) {
        Err(Errno::EPERM) => return Ok(()), // without real root there is none
        result => result.context(TUN)?,
    }
    fs::set_permissions(TUN, std::os::unix::fs::PermissionsExt::from_mode(0o666)).context(TUN)
}
