"""Flags say what they found, and where."""

from shared.domain.flags import FlagKind, of_nothing_known, of_policy, of_reuse
from shared.domain.policy import Policy

_POLICY = Policy({"weapons", "ivory"})


def test_a_restricted_tag_is_flagged_once_by_what_shows_it_or_who_says_it() -> None:
    shown = [("Weapons", 0.7), ("bags", 0.9)]
    found = of_policy(_POLICY, shown, ["weapons", " IVORY ", "bags"], "Ivory")
    assert [(flag.kind, flag.subject, flag.score) for flag in found] == [
        (FlagKind.RESTRICTED, "weapons", 0.7),
        (FlagKind.RESTRICTED, "ivory", 1.0),
    ]
    assert found[0].reason == "The photos show Weapons, which is restricted."
    assert found[1].reason == "The seller says ivory, which is restricted."


def test_without_a_policy_nothing_is_restricted() -> None:
    assert of_policy(Policy([]), [("weapons", 0.7)], ["weapons"], "Weapons") == []


def test_a_title_that_names_what_is_restricted_is_flagged() -> None:
    (flag,) = of_policy(_POLICY, [], ["toy"], "Genuine IVORY-tusk!")
    assert flag.reason == "The title says ivory, which is restricted."


def test_the_further_from_every_threshold_the_surer_it_is_that_nothing_is_known() -> None:
    assert of_nothing_known(0.25).score == 0.75


def test_an_equal_photo_is_surer_than_one_with_other_bits() -> None:
    assert of_reuse("L1", 0, 64).score == 1.0
    assert of_reuse("L1", 4, 64).score == 0.9375
    assert of_reuse("L1", 4, 64).subject == "L1"
