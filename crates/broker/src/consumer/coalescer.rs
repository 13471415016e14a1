//! Fewer acks for the same deliveries: one ack "up to here" instead of one each.
//!
//! SUBTLE: an ack up to a tag covers every lower tag, whether it is finished or not, and an ack
//! of a tag that is already settled costs the channel. So an ack goes up to a tag only if nothing
//! below it is unfinished, tags given back are told apart, and every tag is let go once.

use std::collections::BTreeSet;

/// Which deliveries of one channel are unfinished, and which are done and not yet acked.
#[derive(Debug, Default)]
pub(super) struct Coalescer {
    /// Handed to a handler, not finished.
    unfinished: BTreeSet<u64>,
    /// Finished and to be acked.
    done: BTreeSet<u64>,
}

/// What to ack now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acks {
    /// Everything up to this tag.
    pub(super) up_to: Option<u64>,
    /// These alone: something below them is unfinished. They are not held back for it, for one
    /// long transfer would then use up the prefetch.
    pub(super) single: Vec<u64>,
    /// How many deliveries that is.
    pub(super) count: usize,
}

impl Coalescer {
    /// A delivery is handed to a handler. Tags only grow.
    pub(super) fn started(&mut self, tag: u64) {
        self.unfinished.insert(tag);
    }

    /// A delivery may be acked. A tag that is not unfinished is ignored: it is settled already.
    pub(super) fn done(&mut self, tag: u64) {
        if self.unfinished.remove(&tag) {
            self.done.insert(tag);
        }
    }

    /// A delivery *was* given back. To be said only when the broker has been told: from now on
    /// an ack may go up to a higher tag.
    pub(super) fn given_back(&mut self, tag: u64) {
        self.unfinished.remove(&tag);
    }

    /// How many deliveries the broker still waits for.
    pub(super) fn unsettled(&self) -> usize {
        self.unfinished.len() + self.done.len()
    }

    /// How many deliveries wait for their ack.
    pub(super) fn waiting(&self) -> usize {
        self.done.len()
    }

    /// Takes everything that can be acked.
    pub(super) fn take(&mut self) -> Acks {
        let done = std::mem::take(&mut self.done);
        let count = done.len();
        let (below, single) = match self.unfinished.first() {
            Some(first) => done.into_iter().partition(|tag| tag < first),
            None => (done, BTreeSet::new()),
        };
        Acks {
            up_to: below.last().copied(),
            single: single.into_iter().collect(),
            count,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_finished_prefix_is_acked_at_once_and_the_rest_one_by_one() {
        let mut coalescer = Coalescer::default();
        (1..=6).for_each(|tag| coalescer.started(tag));
        [2, 1, 5, 6].into_iter().for_each(|tag| coalescer.done(tag));
        let acks = coalescer.take();
        assert_eq!(acks.up_to, Some(2));
        assert_eq!(acks.single, [5, 6]);
        assert_eq!(acks.count, 4);
        [3, 4].into_iter().for_each(|tag| coalescer.done(tag));
        assert_eq!(coalescer.take().up_to, Some(4));
        assert_eq!(coalescer.take(), Acks::default());
    }

    #[test]
    fn a_delivery_that_finishes_twice_is_acked_once() {
        let mut coalescer = Coalescer::default();
        coalescer.started(1);
        coalescer.done(1);
        assert_eq!(coalescer.take().up_to, Some(1));
        coalescer.done(1);
        assert_eq!(coalescer.take(), Acks::default());
    }

    /// What may happen next.
    #[derive(Debug, Clone)]
    enum Step {
        Deliver,
        /// The nth unfinished delivery is done.
        Done(usize),
        /// The nth unfinished delivery is given back.
        GiveBack(usize),
        Flush,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Deliver),
            3 => any::<usize>().prop_map(Step::Done),
            1 => any::<usize>().prop_map(Step::GiveBack),
            2 => Just(Step::Flush),
        ];
        proptest::collection::vec(step, 0..200)
    }

    /// The broker's side of a channel.
    #[derive(Default)]
    struct Broker {
        unacked: BTreeSet<u64>,
        finished: BTreeSet<u64>,
        acked: BTreeSet<u64>,
    }

    impl Broker {
        fn ack(&mut self, tag: u64, multiple: bool) {
            assert!(
                self.unacked.contains(&tag),
                "an unknown tag closes the channel"
            );
            let covered: Vec<u64> = if multiple {
                self.unacked.range(..=tag).copied().collect()
            } else {
                vec![tag]
            };
            for tag in covered {
                assert!(self.finished.contains(&tag), "{tag} is unfinished");
                self.unacked.remove(&tag);
                self.acked.insert(tag);
            }
        }

        fn hear(&mut self, acks: Acks) {
            let before = self.acked.len();
            if let Some(tag) = acks.up_to {
                self.ack(tag, true);
            }
            acks.single.into_iter().for_each(|tag| self.ack(tag, false));
            assert_eq!(self.acked.len() - before, acks.count);
        }
    }

    fn nth(set: &BTreeSet<u64>, nth: usize) -> Option<u64> {
        let index = nth.checked_rem(set.len())?;
        set.iter().nth(index).copied()
    }

    proptest! {
        #[test]
        fn exactly_what_is_done_is_acked_whatever_the_order(steps in steps()) {
            let (mut coalescer, mut broker) = (Coalescer::default(), Broker::default());
            let mut next = 0;
            let mut unfinished = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Deliver => {
                        next += 1;
                        broker.unacked.insert(next);
                        unfinished.insert(next);
                        coalescer.started(next);
                    }
                    Step::Done(n) => if let Some(tag) = nth(&unfinished, n) {
                        unfinished.remove(&tag);
                        broker.finished.insert(tag);
                        coalescer.done(tag);
                    },
                    Step::GiveBack(n) => if let Some(tag) = nth(&unfinished, n) {
                        unfinished.remove(&tag);
                        broker.unacked.remove(&tag);
                        coalescer.given_back(tag);
                    },
                    Step::Flush => broker.hear(coalescer.take()),
                }
            }
            prop_assert_eq!(coalescer.unsettled(), broker.unacked.len());
            broker.hear(coalescer.take());
            prop_assert_eq!(coalescer.unsettled(), unfinished.len());
            prop_assert_eq!(&broker.acked, &broker.finished);
            prop_assert_eq!(&broker.unacked, &unfinished);
        }
    }
}
