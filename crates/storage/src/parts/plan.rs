//! How an original is cut into parts, within a store's limits.

use recording::{Fault, ParkReason};

const MIB: u64 = 1 << 20;

/// What a store takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Parts of one object at most.
    pub(crate) parts_max: u64,
    /// The largest part, in bytes.
    pub(crate) part_bytes_max: u64,
    /// The largest object, in bytes.
    pub(crate) object_bytes_max: u64,
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// Where it begins.
    pub(crate) offset: u64,
    /// Its length; only the last one may be shorter than the others.
    pub(crate) len: u64,
}

/// The cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    size: u64,
    part: u64,
}

impl Plan {
    /// Cuts `size` bytes into parts of `part` bytes, or larger ones where there would be too many.
    pub(crate) fn new(size: u64, part: u64, limits: Limits) -> Result<Self, Fault> {
        let least = size.div_ceil(limits.parts_max).div_ceil(MIB);
        let least = least.saturating_mul(MIB);
        if size > limits.object_bytes_max || least > limits.part_bytes_max {
            let most = limits.object_bytes_max;
            let detail = format!("the original is larger than an object can be ({most} bytes)");
            return Err(Fault::new(ParkReason::DestinationRefused, detail));
        }
        let part = part.min(limits.part_bytes_max).max(least).max(1);
        Ok(Self { size, part })
    }

    /// The size of each part but the last, in bytes.
    pub(crate) fn part_bytes(self) -> u64 {
        self.part
    }

    /// Every part in order.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Piece> + Send {
        let mut number = 0_u32;
        let mut offset = 0_u64;
        std::iter::from_fn(move || {
            let len = self.part.min(self.size.saturating_sub(offset));
            // Also the empty original has a part: an upload without any cannot be completed.
            if len == 0 && number > 0 {
                return None;
            }
            number = number.saturating_add(1);
            let piece = Piece {
                number,
                offset,
                len,
            };
            offset = offset.saturating_add(len);
            Some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIB: u64 = 1 << 40;
    const S3: Limits = Limits {
        parts_max: 10_000,
        part_bytes_max: 5 << 30,
        object_bytes_max: 5 * TIB,
    };
    const AZURE: Limits = Limits {
        parts_max: 50_000,
        part_bytes_max: 4000 * MIB,
        object_bytes_max: 50_000 * 4000 * MIB,
    };

    fn check(size: u64, part: u64, limits: Limits) -> Vec<Piece> {
        let plan = Plan::new(size, part, limits).unwrap();
        let pieces: Vec<Piece> = plan.pieces().collect();
        assert_eq!(pieces.iter().map(|piece| piece.len).sum::<u64>(), size);
        assert!(u64::try_from(pieces.len()).unwrap() <= limits.parts_max);
        let mut offset = 0;
        for (index, piece) in pieces.iter().enumerate() {
            assert_eq!(piece.number, u32::try_from(index + 1).unwrap());
            assert_eq!(piece.offset, offset);
            assert!(piece.len <= limits.part_bytes_max);
            offset += piece.len;
        }
        let (_, equal) = pieces.split_last().unwrap();
        let same = |piece: &Piece| piece.len == pieces[0].len && piece.len >= part;
        assert!(equal.iter().all(same));
        pieces
    }

    #[test]
    fn parts_cover_the_original_and_are_never_too_many() {
        for limits in [S3, AZURE] {
            assert_eq!(check(0, 5 * MIB, limits).len(), 1);
            assert_eq!(check(5 * MIB, 5 * MIB, limits).len(), 1);
            assert_eq!(check(5 * MIB + 1, 5 * MIB, limits).len(), 2);
            check(TIB, 16 * MIB, limits);
            check(limits.parts_max * 16 * MIB + 1, 16 * MIB, limits);
            check(limits.object_bytes_max, 16 * MIB, limits);
            assert!(Plan::new(limits.object_bytes_max + 1, 16 * MIB, limits).is_err());
        }
    }
}
