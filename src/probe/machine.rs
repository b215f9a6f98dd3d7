//! How busy the machine is that makes the requests: where none of its processors is ever idle, a request may be late or
//! lost because of it, and not because of the service.
//! May not know: the load, drills.

use sysinfo::System;

/// The processors of this machine, watched from some moment on.
pub struct Processors(System);

impl Processors {
    /// Begins to watch.
    pub fn watch() -> Processors {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Processors(system)
    }

    /// The share of their time that was in use since then, per mille; none where the system does not tell.
    pub fn busy(mut self) -> Option<u32> {
        if !sysinfo::IS_SUPPORTED_SYSTEM {
            return None;
        }
        self.0.refresh_cpu_usage();
        let percent = self.0.global_cpu_usage();
        // Zero is what it says when it could not be read, too.
        (percent > 0.0).then_some((percent * 10.0).round() as u32)
    }
}
