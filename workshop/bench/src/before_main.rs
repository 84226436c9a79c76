//! What a program asks the processor before its `main` begins.
//!
//! glibc looks for the fastest copy of strlen(3) and its like, and for the sizes of the caches,
//! with the instruction `cpuid`; so does libgcc_s, once more. In a virtual machine each of these
//! instructions is the host's to answer: the processor leaves the machine and comes back. That is
//! part of every start, and of the start of every program that a script or a launcher executes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::ptrace;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::programs::{self, Programs};
use super::table::Table;
use crate::system_calls::{cpuid, traced};

/// How often the time of one is taken.
const TIMES: u32 = 2000;

/// Its number, as the processor sees it.
const UMASK: u64 = nix::libc::SYS_umask.cast_unsigned();

/// Counts them in both builds of the step, and in what each contender starts at the end.
pub fn count(programs: &Programs, table: &mut Table) -> Result<()> {
    let busybox = programs.busybox();
    let each = microseconds();
    for (who, program, argument) in [
        ("v4-utsns", &programs.dynamic, "--help"),
        ("v4-utsns, static", &programs.fixed, "--help"),
        ("busybox", &busybox, "true"),
    ] {
        let count = questions(program, argument)?;
        let whole = f64::from(count) * each / 1e3;
        let result = format!("{count} in {whole:.2} ms");
        table.told(&format!("cpuid at the start of {who}"), &result);
    }
    Ok(())
}

/// How long one of them takes.
fn microseconds() -> f64 {
    let start = Instant::now();
    for _ in 0..TIMES {
        cpuid();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}

/// Runs a program, instruction by instruction, until its main begins, or it has ended.
fn questions(program: &Path, argument: &str) -> Result<u32> {
    let mut command: Command = programs::stage(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null());
    let child = traced(&mut command).spawn();
    let child = child.with_context(|| format!("cannot trace {}", program.display()))?;
    let pid = Pid::from_raw(child.id().cast_signed());
    let mut count = 0;
    loop {
        match waitpid(pid, None).with_context(|| format!("cannot wait for {pid}"))? {
            WaitStatus::Exited(_, 0) => return Ok(count),
            WaitStatus::Stopped(..) => {}
            other => bail!("{} ended with {other:?}", program.display()),
        }
        let registers = ptrace::getregs(pid).context("cannot read the registers")?;
        let next = ptrace::read(pid, registers.rip as ptrace::AddressType);
        // The two bytes of cpuid, 0F A2, the first of a little-endian word.
        let is = |instruction| next.is_ok_and(|word| word & 0xffff == instruction);
        if is(0xa20f) {
            count += 1;
        }
        // By umask(2) the main of a step begins (v1), and no start before it calls that: 0F 05.
        if is(0x050f) && registers.rax == UMASK {
            ptrace::kill(pid).context("cannot end what is traced")?;
            waitpid(pid, None).with_context(|| format!("cannot wait for {pid}"))?;
            return Ok(count);
        }
        ptrace::step(pid, None).context("cannot go on by one instruction")?;
    }
}
