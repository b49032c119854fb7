"""Listings of shares, and what changed between two of them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.corps import ShareKind
from broker.domain.shares import AppShare, ListingKey, ShareChanges, ShareList
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
    assert "shares:crm:corp_group" == listing().key.name
    assert "shares:crm:supply_chain" == ListingKey("crm", ShareKind.SUPPLY_CHAIN).name
    assert "shares:tailored:corp_group:wpA" == ListingKey("tailored", ShareKind.CORP_GROUP, "wpA").name


@pytest.mark.parametrize("parent", ["", "wpParent"])
def test_a_listing_is_known_by_its_name(parent: str) -> None:
    key = ListingKey("tailored", ShareKind.SUPPLY_CHAIN, parent)

    assert key == ListingKey.read(key.name)


@pytest.mark.parametrize("name", ["", "shares", "shares:crm", "shares:crm:any", "events:crm"])
def test_another_name_is_no_listings(name: str) -> None:
    assert ListingKey.read(name) is None


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


def test_a_share_is_there_since_the_listing_that_had_it_after_one_that_had_not() -> None:
    first = listing(EAST).following(None)
    second = replace(listing(EAST, SOUTH), fence=2).following(first)
    third = replace(listing(SOUTH, EAST), fence=3).following(second)
    fourth = replace(listing(SOUTH), fence=4).following(third)
    fifth = replace(listing(EAST, SOUTH), fence=5).following(fourth)

    assert [[0], [0, 2], [2, 0], [2], [5, 2]] == [
        [share.since for share in found.shares] for found in (first, second, third, fourth, fifth)
    ]


def test_a_renamed_child_is_there_as_long_as_before_and_one_under_another_agent_id_is_not() -> None:
    renamed = replace(EAST, corp_name="新名")
    moved = replace(SOUTH, agent_id=1000099)
    found = replace(listing(renamed, moved), fence=2).following(listing(EAST, SOUTH))

    assert (renamed, moved) == found.shares
    assert [0, 2] == [share.since for share in found.shares]


def test_how_long_a_share_is_there_makes_no_other_share_of_it() -> None:
    assert EAST == EAST.known_since(7)
    assert not ShareChanges.between([EAST], [EAST.known_since(7)])
    assert 7 == EAST.known_since(7).since


def test_a_share_is_found_by_corp_and_agent_id() -> None:
    twice = AppShare(ShareKind.CORP_GROUP, "ww1east", 1000099)
    found = listing(EAST, SOUTH, twice)

    assert [EAST, twice, None, None] == [
        found.find("ww1east", 1000010),
        found.find("ww1east", 1000099),
        found.find("ww1east", 1000011),
        found.find("ww1west", 1000010),
    ]


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
