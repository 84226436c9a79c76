//! What others could read in the memory of this process.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Erases the environment that execve(2) has put into our memory, and that /proc/PID/environ shows.
/// It may hold secrets. From here on each variable is empty.
///
/// # Errors
/// If /proc is not there, or no new one.
pub fn erase_environment() -> Result<()> {
    let cannot = "cannot erase the environment";
    let stat = fs::read_to_string("/proc/self/stat").context(cannot)?;
    // proc_pid_stat(5): fields 50 and 51 are where it begins and ends; the name of the process,
    // field 2, is in brackets and may have spaces in it.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let mut fields = fields.split(' ').skip(50 - 3).map_while(|field| field.trim().parse().ok());
    let (start, end): (u64, u64) = fields.next().zip(fields.next()).context(cannot)?;
    let zeros = vec![0; usize::try_from(end.saturating_sub(start)).context(cannot)?];
    let memory = File::options().write(true).open("/proc/self/mem").context(cannot)?;
    memory.write_all_at(&zeros, start).context(cannot)
}
