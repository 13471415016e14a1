//! How an original is cut into parts, within S3's limits.

use recording::{Fault, ParkReason};

/// Parts of one upload at most.
const PARTS_MAX: u64 = 10_000;
/// The largest object, in bytes.
const OBJECT_BYTES_MAX: u64 = 5 << 40;
const MIB: u64 = 1 << 20;

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Where it begins.
    pub(super) offset: u64,
    /// Its length; only the last one may be shorter than the others.
    pub(super) len: u64,
}

/// The cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    size: u64,
    part: u64,
}

impl Plan {
    /// Cuts `size` bytes into parts of `part` bytes, or larger ones where there would be too many.
    pub(super) fn new(size: u64, part: u64) -> Result<Self, Fault> {
        if size > OBJECT_BYTES_MAX {
            let detail = "the original is larger than an object can be (5 TiB)";
            return Err(Fault::new(ParkReason::DestinationRefused, detail));
        }
        let least = size.div_ceil(PARTS_MAX).div_ceil(MIB).saturating_mul(MIB);
        Ok(Self {
            size,
            part: part.max(least).max(1),
        })
    }

    /// Every part in order.
    pub(super) fn pieces(self) -> impl Iterator<Item = Piece> + Send {
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

    fn check(size: u64, part: u64) -> Vec<Piece> {
        let pieces: Vec<Piece> = Plan::new(size, part).unwrap().pieces().collect();
        assert_eq!(pieces.iter().map(|piece| piece.len).sum::<u64>(), size);
        assert!(pieces.len() <= 10_000);
        let mut offset = 0;
        for (index, piece) in pieces.iter().enumerate() {
            assert_eq!(piece.number, u32::try_from(index + 1).unwrap());
            assert_eq!(piece.offset, offset);
            offset += piece.len;
        }
        let (_, equal) = pieces.split_last().unwrap();
        assert!(
            equal
                .iter()
                .all(|piece| piece.len == pieces[0].len && piece.len >= part)
        );
        pieces
    }

    #[test]
    fn parts_cover_the_original_and_are_never_too_many() {
        assert_eq!(check(0, 5 * MIB).len(), 1);
        assert_eq!(check(5 * MIB, 5 * MIB).len(), 1);
        assert_eq!(check(5 * MIB + 1, 5 * MIB).len(), 2);
        check(1 << 40, 16 * MIB);
        check(OBJECT_BYTES_MAX, 16 * MIB);
        check(10_000 * 16 * MIB + 1, 16 * MIB);
        assert!(Plan::new(OBJECT_BYTES_MAX + 1, 16 * MIB).is_err());
    }
}
