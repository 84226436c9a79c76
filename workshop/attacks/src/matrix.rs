//! All attacks on all steps, and what they prove.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use super::attack::Attack;
use super::cell::Cell;
use super::trial::{Programs, carry_out};
use super::who::Who;
use workshop::STEPS;

/// One attack by one user.
#[derive(Clone)]
pub(super) struct Row {
    pub attack: &'static Attack,
    pub who: Who,
    /// The positive control: the same attack, by the same user, without a container.
    pub host: Cell,
    /// One cell for each step.
    pub steps: Vec<Cell>,
}

impl Row {
    /// Carries out one attack on the host and on every step, in a process of its own: a process
    /// that forks has one thread, and so attacks one after the other.
    fn in_a_process(attack: &'static Attack, who: Who) -> Result<Row> {
        let own = env::current_exe().context("cannot tell where this program lies")?;
        let mut command = Command::new(own);
        command.args(["--row", who.name(), attack.id]).stdin(Stdio::null());
        let output = command.stderr(Stdio::inherit()).output().context("cannot run ourselves")?;
        let mut cells = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| Cell::of(line.to_owned()))
            .collect::<Vec<_>>()
            .into_iter();
        let host = cells.next();
        let steps: Vec<_> = cells.collect();
        match host {
            Some(host) if steps.len() == STEPS.len() => Ok(Row { attack, who, host, steps }),
            _ => bail!("{} was not carried out to its end: see above", attack.id),
        }
    }

    /// The other side of it: the cells, one for each line.
    pub(super) fn print(attack: &'static Attack, who: Who, programs: &Programs) -> Result<()> {
        for step in [None].into_iter().chain(STEPS.map(Some)) {
            let cell = carry_out(attack, step, who, programs)?;
            writeln!(io::stdout(), "{}", cell.text()).context("cannot print a cell")?;
        }
        Ok(())
    }

    /// What of the claims of this course does not hold, in words.
    pub(super) fn broken_claims(&self) -> Vec<String> {
        let claimed = match self.who {
            Who::Root => self.attack.leaks_for_root,
            Who::User => self.attack.leaks_for_user,
        };
        if self.is_beyond_kernel() {
            return Vec::new();
        }
        let broken = |(index, cell): (usize, &Cell)| {
            let (leaks, is_claimed) = (*cell == Cell::Leaks, claimed.contains(&(index + 1)));
            let depends = self.attack.depends(self.who, index + 1);
            let is_machines = depends.is_some_and(|it| cell.text() == it.refusal);
            if leaks == is_claimed || (is_claimed && is_machines) {
                return None;
            }
            let claim = if is_claimed { "leaks" } else { "is stopped" };
            let (id, who, seen) = (self.attack.id, self.who.title(), cell.text());
            Some(format!(
                "{id} {claim} in {} {who}, says workshop/attacks/src/list.rs; seen: {seen}",
                STEPS[index]
            ))
        };
        self.steps.iter().enumerate().filter_map(broken).collect()
    }

    /// The host's, then those of the steps.
    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell> {
        [&self.host].into_iter().chain(&self.steps)
    }

    /// Whether this kernel has nothing that could be attacked.
    pub(super) fn is_beyond_kernel(&self) -> bool {
        let errnos = self.attack.needs_kernel.map_or(&[][..], |(_, errnos)| errnos);
        errnos.contains(&self.host.text())
    }

    /// Whether the attack has succeeded somewhere.
    pub(super) fn has_succeeded(&self) -> bool {
        self.cells().any(|cell| *cell == Cell::Leaks)
    }
}

/// Some attacks, by everybody that we can be.
pub(super) struct Matrix {
    pub rows: Vec<Row>,
    pub attacks: Vec<&'static Attack>,
}

impl Matrix {
    /// Carries them out, several at a time: most of it is waiting for the kernel.
    ///
    /// # Errors
    /// If a host cannot be made, or a step does not start.
    pub(super) fn carry_out(
        attacks: Vec<&'static Attack>,
        everybody: &[Who],
        progress: impl Fn(&Row) + Sync,
    ) -> Result<Matrix> {
        let wanted = everybody.iter().flat_map(|who| attacks.iter().map(|attack| (*attack, *who)));
        let wanted: Vec<_> = wanted.collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((attack, who)) = wanted.get(index) else { return Ok(done) };
                let row = Row::in_a_process(attack, *who);
                if row.is_err() {
                    next.store(wanted.len(), Ordering::Relaxed); // the others stop, too
                }
                let row = row?;
                progress(&row);
                done.push((index, row));
            }
        };
        let results: Vec<Result<_>> = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers()).map(|_| scope.spawn(work)).collect();
            let join = |worker: thread::ScopedJoinHandle<_>| {
                worker.join().unwrap_or_else(|_| Err(anyhow!("a thread has ended early")))
            };
            workers.into_iter().map(join).collect()
        });
        let mut rows = results.into_iter().collect::<Result<Vec<_>>>()?.concat();
        rows.sort_by_key(|(index, _)| *index);
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        Ok(Matrix { rows, attacks })
    }

    /// Whether this kernel has nothing that could be attacked in this way.
    pub(super) fn is_beyond_kernel(&self, attack: &Attack) -> bool {
        self.rows.iter().any(|row| row.attack.id == attack.id && row.is_beyond_kernel())
    }

    /// The attacks that have succeeded nowhere, by nobody: their rows prove nothing.
    pub(super) fn unproven(&self) -> impl Iterator<Item = &'static Attack> {
        let rows = |id| self.rows.iter().filter(move |row| row.attack.id == id);
        let is_unproven = move |attack: &&'static Attack| !rows(attack.id).any(Row::has_succeeded);
        self.attacks.iter().copied().filter(is_unproven)
    }
}

/// How many rows at a time.
fn workers() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get() * 3)
}

#[cfg(test)]
mod tests {
    use super::super::list::find;
    use super::*;

    /// A row that says this on the host and in v1 to v8.
    fn row(id: &str, who: Who, cells: [&str; 9]) -> Row {
        let mut cells = cells.map(|cell| Cell::of(cell.to_owned())).into_iter();
        let host = cells.next().unwrap();
        Row { attack: find(id).unwrap(), who, host, steps: cells.collect() }
    }

    const L: &str = "leaks";

    #[test]
    fn what_the_machine_decides_is_no_broken_claim() {
        let (v1, v2) = ([L; 9], "SIGKILL");
        let with_v1 = row("eat-memory", Who::Root, [L, L, L, L, L, L, L, L, v2]);
        assert_eq!(with_v1.broken_claims(), [""; 0]);
        let with_v2 = row("eat-memory", Who::Root, [L, L, L, L, L, L, v2, v2, v2]);
        assert_eq!(with_v2.broken_claims(), [""; 0]);
        assert_eq!(row("eat-memory", Who::User, v1).broken_claims(), [""; 0]);
    }

    #[test]
    fn anything_else_is_one() {
        let too_early = row("eat-memory", Who::Root, [L, L, L, L, L, "SIGKILL", L, L, "SIGKILL"]);
        assert_eq!(too_early.broken_claims().len(), 1);
        let otherwise = row("eat-memory", Who::Root, [L, L, L, L, L, L, "EPERM", L, "SIGKILL"]);
        assert_eq!(otherwise.broken_claims().len(), 1);
        let as_user = row("eat-memory", Who::User, [L, L, L, L, L, L, L, L, "SIGKILL"]);
        assert_eq!(as_user.broken_claims().len(), 1);
    }

    #[test]
    fn a_kernel_without_it_claims_nothing() {
        assert_eq!(row("vsock", Who::User, ["EAFNOSUPPORT"; 9]).broken_claims(), [""; 0]);
        assert_eq!(row("vsock", Who::User, ["EPERM"; 9]).broken_claims().len(), 8);
    }
}
