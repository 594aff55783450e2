//! Limits how much of the cores a process gets, where the system lets tests do so.

use std::fs;
use std::path::{Path, PathBuf};

/// Microseconds after which a share is given anew.
const PERIOD: u32 = 20_000;
/// The processes of a control group.
const PROCESSES: &str = "cgroup.procs";

/// A limit for one process, until this is dropped.
pub(crate) struct Share {
    process: String,
    group: PathBuf,
}

impl Share {
    /// Limits a process to so many cores, or a part of one; `None` where tests may not.
    pub(crate) fn of(process: u32, cores: f64) -> Option<Self> {
        let quota = (f64::from(PERIOD) * cores).round().to_string();
        let first = Path::new("/sys/fs/cgroup/cpu");
        let (root, settings) = if first.exists() {
            let period = ("cpu.cfs_period_us", PERIOD.to_string());
            (first, vec![period, ("cpu.cfs_quota_us", quota)])
        } else {
            (Path::new("/sys/fs/cgroup"), vec![("cpu.max", format!("{quota} {PERIOD}"))])
        };
        let group = root.join(format!("dhakira-{process}"));
        fs::create_dir(&group).ok()?;
        let share = Self { process: process.to_string(), group };
        for (file, value) in &settings {
            fs::write(share.group.join(file), value).ok()?;
        }
        fs::write(share.group.join(PROCESSES), &share.process).ok()?;
        Some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // The process may have ended.
        let everybody = self.group.with_file_name(PROCESSES);
        let _ = fs::write(everybody, &self.process);
        let _ = fs::remove_dir(&self.group);
    }
}
