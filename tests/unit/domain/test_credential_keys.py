"""A credential's key holds app, corp, agent, share kind and kind, and never a secret (engine rule 8)."""

import dataclasses
from itertools import combinations, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from broker.domain.apps import APP_NAME, App, AppKind
from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.credentials import CORP_KINDS, CredentialKey, CredentialKind
from broker.domain.errors import InvalidRequest
from broker.domain.secret import Secret
from broker.domain.shares import AppShare
from broker.domain.suites.suite import Provider, Suite

CRM = App("crm", AppKind.SELF_BUILT, "ww0parent", 1000002, Secret("the-app-secret"))
ACME = Provider("acme", "ww0acme", Secret("the-provider-secret"))
SUITE = Suite("market", AppKind.THIRD_PARTY, "ww0market", Secret("the-suite-secret"), ACME)

keys = st.builds(
    CredentialKey,
    app=st.from_regex(APP_NAME, fullmatch=True),
    corp_id=st.from_regex(CORP_ID, fullmatch=True),
    agent_id=st.integers(0, 2**63 - 1),
    share_kind=st.sampled_from(ShareKind),
)


def test_the_same_child_through_two_kinds_of_share_has_two_keys() -> None:
    group = CredentialKey.child_token(CRM, AppShare(ShareKind.CORP_GROUP, "ww1child", 1000010))
    chain = CredentialKey.child_token(CRM, AppShare(ShareKind.SUPPLY_CHAIN, "ww1child", 1000010))

    assert group != chain
    assert group.name != chain.name
    assert 2 == len({group: 1, chain: 2})


def test_a_parent_that_is_also_its_own_child_has_two_keys() -> None:
    own = CredentialKey.own_token(CRM)
    shared = CredentialKey.child_token(CRM, AppShare(ShareKind.CORP_GROUP, CRM.corp_id, CRM.agent_id))

    assert own != shared
    assert own.name != shared.name


def test_no_two_combinations_share_a_name() -> None:
    made = [
        CredentialKey(app, corp_id, agent_id, share_kind)
        for app, corp_id, agent_id, share_kind in product(
            ("crm", "crm2"), ("ww1", "ww10", "WW1"), (1, 10), ShareKind
        )
    ]

    assert [] == [(one, other) for one, other in combinations(made, 2) if one.name == other.name]


@given(keys, keys)
def test_keys_are_equal_exactly_when_their_names_are(one: CredentialKey, other: CredentialKey) -> None:
    assert (one == other) is (one.name == other.name)


@given(keys)
def test_equal_keys_have_equal_hashes(key: CredentialKey) -> None:
    twin = dataclasses.replace(key)

    assert hash(key) == hash(twin)
    assert key == twin


@pytest.mark.slow
@given(keys, st.sampled_from(ShareKind))
def test_another_share_kind_is_another_key(key: CredentialKey, share_kind: ShareKind) -> None:
    assume(share_kind is not key.share_kind)

    assert key.name != dataclasses.replace(key, share_kind=share_kind).name


def test_a_corp_id_keeps_its_case() -> None:
    assert CredentialKey("crm", "wpABC", 1).name != CredentialKey("crm", "wpabc", 1).name


def test_no_key_holds_a_secret() -> None:
    key = CredentialKey.own_token(CRM)

    assert "access_token:crm:own:ww0parent:1000002" == key.name
    assert "the-app-secret" not in repr(key) + key.name


def test_each_kind_of_share_has_wecom_s_number() -> None:
    numbers = {kind: kind.business_type for kind in ShareKind}

    assert {ShareKind.OWN: 0, ShareKind.CORP_GROUP: 0, ShareKind.SUPPLY_CHAIN: 1} == numbers


@pytest.mark.parametrize("key", [CredentialKey.suite_token(SUITE), CredentialKey.provider_token(ACME)])
@pytest.mark.parametrize("kind", CORP_KINDS)
def test_what_belongs_to_a_corp_is_refused_where_no_corp_is_named(
    key: CredentialKey, kind: CredentialKind
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        key.of_kind(kind)
    assert "target.corp_id" == refused.value.metadata["field"]
