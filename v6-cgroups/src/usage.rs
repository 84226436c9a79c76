//! What a container has used, read when it has ended and before its cgroup goes.

use crate::counter::{Counter, Counters};
use crate::group::Group;
use crate::limits::Limits;
use anyhow::{Context, Result};
use launcher::command_line::note;
use std::time::Duration;

// ANCHOR: report
/// Tells whether the kernel killed for memory, and with `--stats` what was used.
pub(crate) fn report(groups: &[Group], limits: &Limits) -> Result<()> {
    if let Some(text) = out_of_memory(groups, limits)? {
        note(format_args!("{text}"));
    }
    if limits.stats {
        note(format_args!("{}", statistics(groups)?));
    }
    Ok(())
}

/// Whether the kernel killed for memory, and in which limit.
pub(crate) fn out_of_memory(groups: &[Group], limits: &Limits) -> Result<Option<String>> {
    let kills = count(groups, |counters| counters.oom_kills)?;
    Ok(kills.filter(|kills| *kills > 0).map(|kills| {
        let limit = limits
            .memory
            .map_or("no limit here".to_owned(), |bytes| format!("limit {}", in_mebibytes(bytes)));
        let s = if kills == 1 { "" } else { "s" };
        format!("killed: out of memory ({limit}, {kills} oom kill{s})")
    }))
}

fn statistics(groups: &[Group]) -> Result<String> {
    let known = |text: Option<String>| text.unwrap_or("unknown".to_owned());
    let seconds = |time: Duration| format!("{:.3} s", time.as_secs_f64());
    Ok(format!(
        "peak memory {}, CPU time {}, throttled {}, peak processes {}",
        known(count(groups, |counters| counters.peak_memory)?.map(in_mebibytes)),
        known(time(groups, |counters| counters.cpu_time)?.map(seconds)),
        known(time(groups, |counters| counters.throttled)?.map(seconds)),
        known(count(groups, |counters| counters.peak_processes)?.map(|count| count.to_string())),
    ))
}
// ANCHOR_END: report

fn count(groups: &[Group], which: fn(&Counters) -> Counter) -> Result<Option<u64>> {
    Ok(read(groups, which)?.map(|(number, _)| number))
}

fn time(groups: &[Group], which: fn(&Counters) -> Counter) -> Result<Option<Duration>> {
    Ok(read(groups, which)?.map(|(number, counters)| (counters.time)(number)))
}

/// What one counter says, and where it stands; none if nobody counts that.
fn read(groups: &[Group], which: fn(&Counters) -> Counter) -> Result<Option<(u64, Counters)>> {
    for group in groups {
        let counters = group.hierarchy.version.counters();
        let counter = which(&counters);
        if counter.controller.is_none_or(|controller| group.hierarchy.has(controller)) {
            let number = counter
                .read(group.path())
                .with_context(|| format!("cannot read {:?}", group.path().join(counter.file)))?;
            return Ok(number.map(|number| (number, counters)));
        }
    }
    Ok(None)
}

fn in_mebibytes(bytes: u64) -> String {
    const MEBIBYTE: f64 = 1_048_576.0;
    if bytes.is_multiple_of(1 << 20) {
        return format!("{} MiB", bytes >> 20);
    }
    format!("{:.1} MiB", bytes as f64 / MEBIBYTE)
}
