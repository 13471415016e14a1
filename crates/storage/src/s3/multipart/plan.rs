//! How an original is cut into parts, within S3's limits.
//!
//! An object has at most 10,000 parts, so the part grows with the original, in whole MiB, once it
//! would need more of the configured ones. The cut follows from the original's size and the
//! configured part size alone: a successor cuts in the same way, or sees that it does not. With
//! the default of 16 MiB:
//!
//! | original | part | parts |
//! |---|---|---|
//! | up to 16 MiB | – (one PUT) | – |
//! | 2 GiB | 16 MiB | 128 |
//! | 20 GiB | 16 MiB | 1,280 |
//! | 156.25 GiB, the most with this part | 16 MiB | 10,000 |
//! | 200 GiB | 21 MiB | 9,753 |
//! | 1 TiB | 105 MiB | 9,987 |
//! | 5 TiB, the largest object | 525 MiB | 9,987 |
//!
//! A part is in memory while it is sent. Above some 1.2 TiB it is larger than the default byte
//! budget; then it waits for all of the budget and is sent alone.

use crate::parts::Limits;

/// What S3 takes.
pub(super) const LIMITS: Limits = Limits {
    parts_max: 10_000,
    part_bytes_max: 5 << 30,
    object_bytes_max: 5 << 40,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Plan;

    #[test]
    fn the_part_grows_with_the_original_as_the_table_says() {
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        let table = [
            (2 * GIB, 16, 128),
            (20 * GIB, 16, 1_280),
            (10_000 * 16 * MIB, 16, 10_000),
            (200 * GIB, 21, 9_753),
            (1024 * GIB, 105, 9_987),
            (LIMITS.object_bytes_max, 525, 9_987),
        ];
        for (size, part, parts) in table {
            let plan = Plan::new(size, 16 * MIB, LIMITS).unwrap();
            assert_eq!(plan.part_bytes(), part * MIB, "{size}");
            assert_eq!(plan.pieces().count(), parts, "{size}");
        }
        assert!(Plan::new(LIMITS.object_bytes_max + 1, 16 * MIB, LIMITS).is_err());
    }
}
