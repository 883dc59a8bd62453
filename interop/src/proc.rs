//! What Linux tells about a process and about the machine, in `/proc`.

use std::fmt;

use crate::check::Outcome;

/// Resident memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resident {
    kib: u64,
}

impl Resident {
    pub(crate) fn of(process: u32) -> Outcome<Self> {
        Ok(Self { kib: status(process, "VmRSS")? })
    }
}

impl fmt::Display for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} MiB", self.kib as f64 / 1024.0)
    }
}

/// The resident memory of a process that no file stands behind, in KiB: what it has allocated and not given back.
pub(crate) fn anonymous(process: u32) -> Outcome<u64> {
    status(process, "RssAnon")
}

/// The threads of a process.
pub(crate) fn threads(process: u32) -> Outcome<u64> {
    status(process, "Threads")
}

/// A number of a process's status; of a size, the KiB.
fn status(process: u32, name: &str) -> Outcome<u64> {
    Ok(field(&format!("/proc/{process}/status"), name)?.trim_end_matches(" kB").parse()?)
}

/// The file descriptors that a process has open.
pub(crate) fn descriptors(process: u32) -> Outcome<u64> {
    let folder = format!("/proc/{process}/fd");
    let open = std::fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?;
    Ok(open.count() as u64)
}

/// The first value of a file of `name : value` lines.
pub(crate) fn field(file: &str, name: &str) -> Outcome<String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let line = text.lines().find_map(|line| line.split_once(':').filter(|(known, _)| known.trim() == name));
    line.map(|(_, value)| value.trim().to_owned()).ok_or_else(|| format!("{file} has no `{name}`").into())
}
