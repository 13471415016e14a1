//! Mutants: one rule of the protocol removed at a time, by a switch in the simulated outside,
//! never by a rebuild. The suite must catch each: a check that was never seen failing is no check.

use std::fmt;
use std::str::FromStr;

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident $word:literal,)+) => {
        /// One removed rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant { $($(#[$doc])* $name,)+ }

        impl Mutant {
            /// Every mutant.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word on the command line.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

mutants! {
    /// The ledger writes whatever the token says.
    NoFencing "no-fencing",
    /// The bucket overwrites, damages what it stores, and reports no checksum.
    OverwritingBucket "overwriting-bucket",
    /// Cleanup's look always shows the copy as it once was: there is no second look.
    BlindCleanup "blind-cleanup",
    /// The broker takes a delivery as settled when it is handed out.
    EarlyAck "early-ack",
    /// The trash takes every file for the copied one.
    CarelessTrash "careless-trash",
    /// A fence never closes.
    OpenFence "open-fence",
    /// An unmounted staging is taken for an empty one.
    TrustedUnmount "trusted-unmount",
    /// A requeued message's row ends although the message was refused again meanwhile.
    ForgetfulQuarantine "forgetful-quarantine",
    /// A breaker that opened is never half open: nobody tries whether the destination works again.
    NeverHalfOpen "never-half-open",
    /// The publisher says yes to what the broker never took.
    LyingConfirm "lying-confirm",
    /// The first look believes what the store answers to a write: sizes and checksums as sent.
    TrustedWrite "trusted-write",
    /// A reroute takes every old place for empty, whatever it would see there.
    BlindReroute "blind-reroute",
    /// The ledger moves a pin while somebody works on the recording.
    HastyReroute "hasty-reroute",
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mutant {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().copied().find(|m| m.as_str() == text);
        known.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|m| m.as_str()).collect();
            format!("no such mutant; there are: {}", names.join(", "))
        })
    }
}
