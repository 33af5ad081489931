"""What is remarkable about a listing, for people to look at (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.decision import Scored
from shared.domain.policy import Policy
from shared.domain.spam import Doubt
from shared.domain.spam import reason as spam_reason


class FlagKind(StrEnum):
    """What a flag says."""

    SPAM = "spam"  #: A seller's tag does not belong to the photos.
    REUSED_PHOTO = "reused_photo"  #: An earlier listing has the same photo.
    NOTHING_KNOWN = "nothing_known"  #: The photos show nothing that the model knows.
    RESTRICTED = "restricted"  #: The marketplace's policy names a tag.


@dataclass(frozen=True, slots=True)
class Flag:
    """One remark about a listing."""

    kind: FlagKind
    subject: str  #: the doubted name, the restricted tag or the earlier listing; else ''
    score: float  #: how sure it is, in 0..1
    reason: str  #: one sentence


def of_spam(doubts: Sequence[Doubt]) -> list[Flag]:
    """A flag for each doubted tag."""
    return [Flag(FlagKind.SPAM, its.tag, its.score, spam_reason(its)) for its in doubts]


def of_nothing_known(nearest: float) -> Flag:
    """For photos that show no tag.

    Args:
        nearest: the largest score as a share of its tag's threshold, below 1.
    """
    return Flag(
        FlagKind.NOTHING_KNOWN, "", 1 - nearest, "The photos show nothing that the model knows."
    )


def of_policy(
    policy: Policy, tags: Sequence[Scored], sellers: Sequence[str], title: str
) -> list[Flag]:
    """A flag for each restricted tag that the photos show, or that the seller's words name.

    Args:
        policy: what is restricted.
        tags: of the listing, with their scores.
        sellers: the seller's tags.
        title: of the listing.
    """
    flags: dict[str, Flag] = {}
    for tag, score in tags:
        if name := policy.of_tag(tag):
            reason = f"The photos show {tag}, which is restricted."
            flags[name] = Flag(FlagKind.RESTRICTED, name, score, reason)
    for what, said in [*(("seller", tag) for tag in sellers), ("title", title)]:
        for name in policy.within(said):
            reason = f"The {what} says {name}, which is restricted."
            flags.setdefault(name, Flag(FlagKind.RESTRICTED, name, 1.0, reason))
    return list(flags.values())


def of_reuse(listing_id: str, distance: int, bits: int) -> Flag:
    """For a photo that an earlier listing has.

    Args:
        listing_id: the earlier one.
        distance: so many bits of the photos' perceptual hashes differ.
        bits: of a hash.
    """
    return Flag(
        FlagKind.REUSED_PHOTO,
        listing_id,
        1 - distance / bits,
        f"Listing {listing_id} had the same photo before.",
    )
