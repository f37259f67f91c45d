//! Deliberate mistakes, for the simulation to catch: a proof that never fails proves nothing.
//!
//! They exist only in a build with the feature `deliberate-bugs`, which no manifest enables; in every other build
//! [`Bug::is_chosen`] is `false` where it stands, and nothing is left of it. One of them is chosen for a thread, because a
//! simulated run is one thread.

use std::fmt;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// Access ends with the first of its reasons.
    NoReferenceCount,
    /// A revocation is called done when the target has accepted it.
    RevokeBeforeVerify,
    /// The call is made before its record is written.
    IntentAfterCall,
    /// A list without anybody is an empty rota.
    EmptyListBelieved,
    /// What was there before is taken for ours.
    StandingIgnored,
    /// Every change of a view is accepted.
    BrakeOff,
    /// The record of what happened is written after it.
    EvidenceOutside,
    /// Ends are not entered where the tick finds them.
    DueIndexMissed,
    /// Grace is added twice.
    GraceDoubled,
    /// Every level of a policy counts as the first.
    LevelIgnored,
    /// People are found by their address each time.
    EmailAsKey,
    /// Whoever comes second is not refused.
    DuplicateActedOn,
    /// A call that may still act keeps nobody from calling.
    NoAttemptFence,
    /// A shift under another key is another reason.
    ReasonKeyedByShift,
    /// Denials are not looked at.
    BlockIgnored,
    /// What goes back is what was there before the last value of ours.
    PreviousValuePerHold,
    /// A lease ends although Dutykey itself was away.
    LeaseAfterPause,
    /// One doubtful change holds the whole view.
    WholeViewHeld,
    /// A change for many people looks at nobody.
    SweepForgotten,
    /// Nobody waits for their turn.
    TurnIgnored,
    /// What a read shows right after our own revocation is believed.
    StandingInsidePropagation,
    /// Access that was asked for outlives the duty for which it was given.
    RequestOutlivesDuty,
    /// What is given back stays until it would have ended.
    GivenBackKept,
    /// What was approved grows with its profile.
    ApprovalGrows,
    /// A look goes on although the table was restored and nobody has let it go on.
    RestoreUnnoticed,
    /// A platform that cannot be read fails the message.
    OutageFailsMessage,
    /// Whoever gives back what comes with being on call is not denied it.
    GivenBackIgnored,
    /// What retires goes on giving.
    RetirementIgnored,
    /// All that is due for a person is one transaction, however much it is.
    HoldsUnbounded,
    /// Grants leave no turn alone.
    GrantsTakeAllTurns,
    /// A call that was refused counts as one that may have had an effect.
    RefusalIsOurs,
    /// The target's own end stays where it was when the reasons' moves on.
    EndNotExtended,
    /// Nothing tells the target to end access by itself.
    NoNativeEnd,
    /// What others take away while a reason lives is put back.
    PutBackUnasked,
    /// An account that somebody has becomes another one's as well.
    ClaimIgnored,
    /// A worker decides by its own clock, however late the person's last record is.
    TimeBackwards,
    /// A change of the forecast counts at once.
    LockIgnored,
    /// Whoever is new waits for the lock, and whoever is replaced goes all the same.
    LockHalf,
    /// A view is compared with the one before it, and not with what was believed an hour ago.
    BrakeForgets,
    /// A view's generation is taken when it is written.
    OlderViewWins,
    /// A restored table goes on although the rotas were not read since.
    ReleaseBeforeRead,
    /// Somebody is erased, and their address stays.
    AddressKept,
    /// Whoever proposes what gives them more confirms it.
    OwnGainConfirmed,
    /// A record is written whole, without what another release has said in it.
    ItemsReplaced,
    /// Of a duty that is shown twice one goes.
    TwinStays,
}

impl Bug {
    /// Every one of them.
    pub const ALL: [Self; 45] = [
        Self::NoReferenceCount,
        Self::RevokeBeforeVerify,
        Self::IntentAfterCall,
        Self::EmptyListBelieved,
        Self::StandingIgnored,
        Self::BrakeOff,
        Self::EvidenceOutside,
        Self::DueIndexMissed,
        Self::GraceDoubled,
        Self::LevelIgnored,
        Self::EmailAsKey,
        Self::DuplicateActedOn,
        Self::NoAttemptFence,
        Self::ReasonKeyedByShift,
        Self::BlockIgnored,
        Self::PreviousValuePerHold,
        Self::LeaseAfterPause,
        Self::WholeViewHeld,
        Self::SweepForgotten,
        Self::TurnIgnored,
        Self::StandingInsidePropagation,
        Self::RequestOutlivesDuty,
        Self::GivenBackKept,
        Self::ApprovalGrows,
        Self::RestoreUnnoticed,
        Self::OutageFailsMessage,
        Self::GivenBackIgnored,
        Self::RetirementIgnored,
        Self::HoldsUnbounded,
        Self::GrantsTakeAllTurns,
        Self::RefusalIsOurs,
        Self::EndNotExtended,
        Self::NoNativeEnd,
        Self::PutBackUnasked,
        Self::ClaimIgnored,
        Self::TimeBackwards,
        Self::LockIgnored,
        Self::LockHalf,
        Self::BrakeForgets,
        Self::OlderViewWins,
        Self::ReleaseBeforeRead,
        Self::AddressKept,
        Self::OwnGainConfirmed,
        Self::ItemsReplaced,
        Self::TwinStays,
    ];

    /// Whether this thread is wrong in this way.
    #[must_use]
    #[cfg(feature = "deliberate-bugs")]
    pub fn is_chosen(self) -> bool {
        chosen::get() == Some(self)
    }

    /// Whether this thread is wrong in this way: never, in this build.
    #[must_use]
    #[cfg(not(feature = "deliberate-bugs"))]
    pub const fn is_chosen(self) -> bool {
        false
    }
}

impl fmt::Display for Bug {
    /// The name in words: `no reference count`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, letter) in format!("{self:?}").chars().enumerate() {
            if number > 0 && letter.is_uppercase() {
                f.write_str(" ")?;
            }
            write!(f, "{}", letter.to_lowercase())?;
        }
        Ok(())
    }
}

/// Chooses for this thread.
#[cfg(feature = "deliberate-bugs")]
pub mod chosen {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// From now on this thread is wrong in this way; in none where that is absent.
    pub fn set(bug: Option<Bug>) {
        CHOSEN.set(bug);
    }

    pub(super) fn get() -> Option<Bug> {
        CHOSEN.get()
    }
}

#[cfg(test)]
mod tests {
    use super::Bug;

    #[test]
    fn a_mistake_is_named_in_words() {
        assert_eq!(Bug::NoReferenceCount.to_string(), "no reference count");
    }
}
