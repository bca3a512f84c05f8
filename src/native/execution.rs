//! Where libraries can be loaded from.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

/// Whether libraries can be loaded from the file system that `path`, or the nearest directory above
/// it that exists, is on. Where that is not known: yes.
pub(super) fn allows_execution(path: &Path) -> bool {
    path.ancestors()
        .find_map(|ancestor| statvfs(ancestor).ok())
        .is_none_or(|information| !information.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
