//! How much memory there is: what is read whole must fit into it.

use std::fs;
use std::path::Path;

/// Bytes of memory and swap that this process may have: those of the machine, or fewer where a control group has a
/// bound, as containers and batch systems set it; none where the system does not tell.
pub fn memory_limit() -> Option<u64> {
    limit(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
}

fn limit(proc: &Path, cgroups: &Path) -> Option<u64> {
    let info = fs::read_to_string(proc.join("meminfo")).ok()?;
    let bytes = |name| -> Option<u64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let swap = bytes("SwapTotal:").unwrap_or_default();
    let groups = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let bounds = groups.lines().filter_map(|line| bound_of_group(line, cgroups, swap));
    bounds.chain([bytes("MemTotal:")?.saturating_add(swap)]).min()
}

/// The least bound of a control group, a line of `/proc/self/cgroup`, and of those that it lies in.
fn bound_of_group(line: &str, cgroups: &Path, swap: u64) -> Option<u64> {
    // `0::/a/b` in version 2, and `4:memory:/a/b` in version 1, where other controllers have lines of their own.
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => (cgroups.to_owned(), "memory.max"),
        _ if controllers.split(',').any(|controller| controller == "memory") => {
            (cgroups.join("memory"), "memory.limit_in_bytes")
        }
        _ => return None,
    };
    // In a container the path may be the host's; its own group is the root then.
    let group = root.join(path.trim_start_matches('/'));
    let groups = group.ancestors().take_while(|dir| dir.starts_with(&root));
    // `max` where there is no bound.
    let read = |dir: &Path, file| -> Option<u64> {
        fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
    };
    let bounds = groups.filter_map(|dir| {
        let memory = read(dir, file)?;
        let swap = read(dir, "memory.swap.max").map_or(swap, |own| own.min(swap));
        Some(memory.saturating_add(swap))
    });
    bounds.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit of a machine with 8000 kB of memory and 1000 kB of swap, and these files below its two folders.
    fn found(files: &[(&str, &str)]) -> Option<u64> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let info = ("proc/meminfo", "MemTotal:    8000 kB\nMemFree: 5 kB\nSwapTotal:   1000 kB\n");
        for (name, text) in files.iter().chain([&info]) {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("writable");
            fs::write(path, text).expect("writable");
        }
        limit(&dir.path().join("proc"), &dir.path().join("cgroup"))
    }

    #[test]
    fn the_least_of_machine_and_groups_counts() {
        let own = ("proc/self/cgroup", "0::/a/b\n");
        let machine = Some(9000 << 10);
        assert_eq!(found(&[]), machine);
        assert_eq!(found(&[own]), machine);
        assert_eq!(found(&[own, ("cgroup/a/b/memory.max", "max\n")]), machine);
        let outer = ("cgroup/a/memory.max", "3072000\n");
        assert_eq!(found(&[own, outer]), Some((3000 + 1000) << 10));
        let inner = ("cgroup/a/b/memory.max", "1024000\n");
        assert_eq!(found(&[own, outer, inner]), Some((1000 + 1000) << 10));
        let no_swap = ("cgroup/a/b/memory.swap.max", "0\n");
        assert_eq!(found(&[own, outer, inner, no_swap]), Some(1000 << 10));
        // A container that sees its own group as the root.
        let root = ("cgroup/memory.max", "2048000\n");
        assert_eq!(found(&[("proc/self/cgroup", "0::/../x\n"), root]), Some((2000 + 1000) << 10));
        // Version 1, also where the machine has both.
        let old = ("proc/self/cgroup", "5:cpu,cpuacct:/c\n4:memory:/c\n0::/\n");
        let bound = ("cgroup/memory/c/memory.limit_in_bytes", "1024000\n");
        assert_eq!(found(&[old, bound]), Some((1000 + 1000) << 10));
        let none = ("cgroup/memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(found(&[old, none]), machine);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory() {
        assert!(memory_limit().is_some_and(|bytes| bytes > 1 << 24));
    }
}
