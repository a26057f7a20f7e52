//! What the kernel lets a command touch: Linux's landlock. A thread that has given up its rights never gets them back, and neither
//! does anything it starts, not even as root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, Compatible, LandlockStatus, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::wire::Rules;

/// The newest version whose every right has been tried here.
const TRIED: ABI = ABI::V6;

/// From this version on a command cannot send signals to its supervisor either.
pub(super) const SIGNALS_SINCE: u32 = 6;

/// Where programs and their data usually are.
const SYSTEM: [&str; 12] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
];

/// Devices that hold nothing.
const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// What is read besides `more`: the system, but not what only its owner may read.
pub(super) fn readable(more: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let settings = fs::read_dir("/etc").into_iter().flatten();
    let settings = settings.filter_map(|entry| Some(entry.ok()?.path()));
    SYSTEM
        .iter()
        .map(PathBuf::from)
        .chain(settings.filter(|path| everybody_reads(path)))
        .chain(more)
        .collect()
}

fn everybody_reads(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

/// The kernel's version of landlock. Restricts the thread that asks.
pub(super) fn version() -> Option<u32> {
    match restrict(&Rules::default()).ok()?.landlock {
        LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        } => Some(kernel_abi.unwrap_or(effective_abi as i32).cast_unsigned()),
        _ => None,
    }
}

/// What even root's commands may do of what only root may. Not among it: looking into other processes, which goes past landlock, and
/// making devices, which are a way to every file.
const OF_ROOT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Restricts this thread and whatever it starts, or fails.
pub(super) fn enforce(rules: &Rules) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot confine the command: {error}");
    give_up_capabilities().map_err(|error| failed(&error))?;
    let status = restrict(rules).map_err(|error| failed(&error))?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(failed(&"the kernel has no landlock any more")),
        _ => Ok(()),
    }
}

fn give_up_capabilities() -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.effective &= OF_ROOT;
    sets.permitted &= OF_ROOT;
    sets.inheritable &= OF_ROOT;
    set_capabilities(None, sets)
}

fn restrict(rules: &Rules) -> Result<RestrictionStatus, RulesetError> {
    let listing: BitFlags<AccessFs> = AccessFs::ReadDir.into();
    let everything = AccessFs::from_all(TRIED) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    Ruleset::default()
        .set_compatibility(landlock::CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(TRIED))?
        .scope(Scope::from_all(TRIED))?
        .create()?
        .add_rules(path_beneath_rules(["/etc"], listing))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules(
            &rules.readable,
            AccessFs::from_read(TRIED),
        ))?
        .add_rules(path_beneath_rules(&rules.writable, everything))?
        .restrict_self()
}
