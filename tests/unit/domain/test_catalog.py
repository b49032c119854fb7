"""The catalog is replaced while others hold it."""

from dataclasses import replace

import pytest

from broker.domain.errors import UnknownApp
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog, CatalogChange
from tests.kit.memory.fake_suites import ACME, CRM, MARKET


def catalog(*owners: object) -> Catalog:
    found = {owner.name: owner for owner in owners}  # type: ignore[attr-defined]
    return Catalog(
        {name: owner for name, owner in found.items() if type(owner) is type(CRM)},
        {name: owner for name, owner in found.items() if type(owner) is type(MARKET)},
        {name: owner for name, owner in found.items() if type(owner) is type(ACME)},
    )


def change_from(before: Catalog, after: Catalog) -> CatalogChange:
    seen: list[CatalogChange] = []
    before.on_change(seen.append)
    before.replace(after)
    (change,) = seen
    return change


def test_whoever_holds_a_part_sees_the_present_one():
    present = catalog(CRM, MARKET, ACME)
    suites = present.suites
    present.replace(catalog(CRM))

    assert [] == list(suites)
    assert (True, False) == (present.knows("crm"), present.knows("market"))
    with pytest.raises(UnknownApp):
        present.suite("market")
    with pytest.raises(UnknownApp):
        present.provider("acme")


def test_who_iterates_goes_on_over_what_it_began_with():
    present = catalog(MARKET, ACME)
    names = iter(present.suites)
    present.replace(catalog(ACME))

    assert ["market"] == list(names)


def test_names_that_come_and_go_are_told():
    change = change_from(catalog(CRM, ACME), catalog(ACME, MARKET))

    assert {"market"} == change.added
    assert {"crm"} == change.removed == change.ended


@pytest.mark.parametrize("owner", [CRM, MARKET, ACME])
def test_another_secret_ends_nothing(owner: object):
    other = replace(owner, secret=Secret("another"))  # type: ignore[type-var]
    change = change_from(catalog(owner), catalog(other))

    assert {owner.name} == change.with_other_secret  # type: ignore[attr-defined]
    assert not change.ended


@pytest.mark.parametrize(
    ("owner", "other"),
    [
        (CRM, replace(CRM, agent_id=9)),
        (CRM, replace(CRM, corp_id="ww000000000other")),
        (MARKET, replace(MARKET, suite_id="wwanothersuite00")),
        (ACME, replace(ACME, corp_id="ww000000000other")),
    ],
)
def test_another_identity_under_the_same_name_ends_what_was(owner: object, other: object):
    change = change_from(catalog(owner), catalog(other))

    assert {owner.name} == change.exchanged == change.ended  # type: ignore[attr-defined]
