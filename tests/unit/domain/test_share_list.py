"""Listings of shares, and what changed between two of them."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.corps import AppShare, ShareKind
from broker.domain.share_list import ShareChanges, ShareList
from tests.unit.domain.credentials import NOON

EAST = AppShare(ShareKind.CORP_GROUP, "ww1east", 1000010, "华东公司")
SOUTH = AppShare(ShareKind.CORP_GROUP, "ww1south", 1000011, "华南公司")
SUPPLIER = AppShare(ShareKind.SUPPLY_CHAIN, "ww1east", 1000010, "华东公司")

shares = st.builds(
    AppShare,
    st.sampled_from([ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN]),
    st.sampled_from(["ww1", "ww10", "wpA", "wpa"]),
    st.integers(1, 3),
    st.sampled_from(["", "甲", "乙"]),
)
listings = st.lists(shares, unique_by=lambda share: share.identity)


def listing(*found: AppShare) -> ShareList:
    return ShareList("crm", ShareKind.CORP_GROUP, 1, NOON + timedelta(0), found)


def test_a_listing_has_a_name_of_its_own_for_each_app_and_kind() -> None:
    assert "shares:crm:corp_group" == listing().name
    assert "shares:crm:supply_chain" == ShareList.name_of("crm", ShareKind.SUPPLY_CHAIN)


def test_a_listing_finds_all_shares_of_a_child() -> None:
    twice = AppShare(ShareKind.CORP_GROUP, "ww1east", 1000099)

    assert {"ww1east": [EAST, twice], "ww1south": [SOUTH]} == listing(EAST, SOUTH, twice).by_corp


def test_a_listing_tells_corps_apart_by_the_case_of_their_ids() -> None:
    upper, lower = AppShare(ShareKind.CORP_GROUP, "wpA", 1), AppShare(ShareKind.CORP_GROUP, "wpa", 1)

    assert [upper] == listing(upper, lower).by_corp["wpA"]


def test_an_unknown_child_has_no_shares() -> None:
    assert "ww1west" not in listing(EAST).by_corp
    assert {} == listing().by_corp


def test_the_first_listing_only_adds() -> None:
    assert ShareChanges((EAST, SOUTH), (), 0) == ShareChanges.between([], [EAST, SOUTH])


def test_what_came_and_what_went_is_told_apart() -> None:
    assert ShareChanges((SUPPLIER,), (SOUTH,), 1) == ShareChanges.between([EAST, SOUTH], [EAST, SUPPLIER])


def test_a_child_under_another_agent_id_went_and_came() -> None:
    moved = AppShare(ShareKind.CORP_GROUP, "ww1east", 1000099)

    assert ShareChanges((moved,), (EAST,), 0) == ShareChanges.between([EAST], [moved])


def test_a_child_that_was_only_renamed_is_unchanged() -> None:
    renamed = AppShare(EAST.share_kind, EAST.corp_id, EAST.agent_id, "新名")
    changes = ShareChanges.between([EAST], [renamed])

    assert ShareChanges((), (), 1) == changes
    assert not changes


def test_only_changes_are_true() -> None:
    assert not ShareChanges(unchanged_count=5)
    assert ShareChanges(added=(EAST,))
    assert ShareChanges(removed=(EAST,))


def test_changes_of_two_kinds_add_up() -> None:
    assert ShareChanges((EAST, SUPPLIER), (SOUTH,), 5) == ShareChanges((EAST,), (), 2) + ShareChanges(
        (SUPPLIER,), (SOUTH,), 3
    )


@given(listings, listings)
def test_changes_lead_from_one_listing_to_the_other(before: list[AppShare], after: list[AppShare]) -> None:
    changes = ShareChanges.between(before, after)
    old = {share.identity for share in before}
    led_to = (old - {share.identity for share in changes.removed}) | {
        share.identity for share in changes.added
    }

    assert {share.identity for share in after} == led_to
    assert len(after) == changes.unchanged_count + len(changes.added)
    assert len(before) == changes.unchanged_count + len(changes.removed)


@given(listings)
def test_a_listing_does_not_differ_from_itself(found: list[AppShare]) -> None:
    assert not ShareChanges.between(found, reversed(found))
