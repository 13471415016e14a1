//! Faults that the roles are known not to survive. Drawn runs leave them out, or every long run
//! would end at the same ones; told runs and `sim --known` do not. Whoever mends one deletes it
//! here, and turns the test that tells it into one that asserts that all is well.

/// Which known faults happen all the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// An original that lies in the trash cannot be put back, because another file has its path,
    /// and the copy is gone. Cleanup takes its *own* entry for one that a predecessor moved late
    /// and refuses as `interrupted`, for ever, where a person should be asked. Told by
    /// `taken_path`.
    pub(crate) taken_paths_interrupt: bool,
}

impl Known {
    /// None of them.
    pub(crate) const SPARED: Self = Self {
        taken_paths_interrupt: false,
    };

    /// All of them.
    pub(crate) const ALL: Self = Self {
        taken_paths_interrupt: true,
    };
}
