"""Codecs of suites: what WeCom tells once is durable, read as it was written, and sealed."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from broker.adapters.storage import suite_codecs
from broker.adapters.storage.collection import SealedCollection
from broker.adapters.storage.payload import LARGEST_FENCE
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.system import SystemClock
from broker.domain.corps import ShareKind
from broker.domain.secret import Secret
from broker.domain.suites.authorization import (
    AuthMode,
    Authorization,
    AuthorizationState,
    AuthorizedAgent,
    Edition,
    Permission,
    SharedFrom,
)
from broker.domain.suites.installation import KEPT, Installation, InstallationState
from broker.domain.suites.ticket import SuiteTicket
from tests.contract.making import taken
from tests.contract.observer import Notebook
from tests.kit.memory.memory_store import MemoryStore, Shared
from tests.unit.adapters.kept import Kept, without
from tests.unit.adapters.kept_suites import AUTHORIZATION, CANCELLED, DONE, SUITE_KINDS, TAKEN

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_kind = pytest.mark.parametrize("kept", SUITE_KINDS.values(), ids=SUITE_KINDS)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
FENCES = st.integers(1, LARGEST_FENCE)
MOMENTS = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
SECRETS = TEXTS.filter(bool).map(Secret)
EDITIONS = st.builds(
    Edition, TEXTS, TEXTS, NUMBERS, NUMBERS, st.none() | MOMENTS, shared_from_other_corp=st.booleans()
)
AGENTS = st.builds(
    AuthorizedAgent,
    NUMBERS,
    TEXTS,
    st.none() | EDITIONS,
    st.none() | st.builds(SharedFrom, TEXTS, st.sampled_from(ShareKind)),
    st.lists(st.builds(Permission, TEXTS, st.none() | MOMENTS), max_size=5).map(tuple),
)


def with_secret_while(open_: set[Any], states: type[Any]) -> st.SearchStrategy[tuple[Any, Secret | None]]:
    return st.sampled_from(states).flatmap(
        lambda state: st.tuples(st.just(state), SECRETS if state in open_ else st.none())
    )


LIVING = {AuthorizationState.ACTIVE, AuthorizationState.REAUTHORIZATION_REQUIRED}
AUTHORIZATIONS = st.builds(
    lambda held, *rest, **more: Authorization("crm", "wpABC", rest[0], *held, *rest[1:], **more),
    with_secret_while(LIVING, AuthorizationState),
    FENCES,
    TEXTS,
    MOMENTS,
    MOMENTS,
    TEXTS,
    st.lists(AGENTS, max_size=3).map(tuple),
    st.none() | st.sampled_from(AuthMode),
    TEXTS,
    TEXTS,
    TEXTS,
    shares=st.booleans(),
    are_children_stale=st.booleans(),
)
INSTALLATIONS = st.builds(
    lambda held, fence, **more: Installation("crm", "hash", fence, *held, **more),
    with_secret_while({InstallationState.TAKEN, InstallationState.SENT}, InstallationState),
    FENCES,
    is_reset=st.booleans(),
    install_state=TEXTS,
    taken_at=MOMENTS,
    sent_at=st.none() | MOMENTS,
    corp_id=TEXTS,
    problem=TEXTS,
    is_callers=st.booleans(),
)


def test_an_authorisation_of_a_broker_that_did_not_mark_children_is_read() -> None:
    older = without(AUTHORIZATION, "are_children_stale")

    assert AUTHORIZATION.value == suite_codecs.AUTHORIZATIONS.decode(AUTHORIZATION.key, older)


@pytest.mark.slow
@unhurried
@given(AUTHORIZATIONS)
def test_an_authorisation_is_read_as_it_was_written(authorization: Authorization) -> None:
    codec = suite_codecs.AUTHORIZATIONS

    assert authorization == codec.decode(authorization.key, codec.encode(authorization))


@unhurried
@given(INSTALLATIONS)
def test_an_auth_code_is_read_as_it_was_written(installation: Installation) -> None:
    codec = suite_codecs.INSTALLATIONS

    assert installation == codec.decode(installation.key, codec.encode(installation))


@unhurried
@given(SECRETS, MOMENTS)
def test_a_ticket_is_read_as_it_was_written(value: Secret, pushed_at: datetime) -> None:
    codec, ticket = suite_codecs.SUITE_TICKETS, SuiteTicket("crm", value, pushed_at)

    assert ticket == codec.decode("crm", codec.encode(ticket))


@every_kind
def test_all_of_them_are_durable(kept: Kept) -> None:
    assert kept.codec.encode(kept.value).durable


def test_how_long_each_is_kept() -> None:
    def kept_until(kept: Kept) -> datetime:
        return kept.codec.encode(kept.value).keep_until

    assert 9999 == kept_until(AUTHORIZATION).year
    assert CANCELLED.value.updated_at + timedelta(days=30) == kept_until(CANCELLED)
    assert DONE.value.taken_at + KEPT == kept_until(DONE)
    assert SUITE_KINDS["suite ticket"].value.pushed_at + timedelta(days=1) == kept_until(
        SUITE_KINDS["suite ticket"]
    )


@pytest.mark.parametrize(
    ("kept", "changes"),
    [
        (AUTHORIZATION, {"state": AuthorizationState.CANCELLED}),
        (AUTHORIZATION, {"permanent_code": None}),
        (AUTHORIZATION, {"permanent_code": Secret("")}),
        (TAKEN, {"state": InstallationState.DONE}),
        (TAKEN, {"state": InstallationState.LOST}),
        (TAKEN, {"auth_code": None}),
    ],
    ids=[
        "cancelled with a code",
        "active without",
        "active, empty",
        "done with a code",
        "lost",
        "taken without",
    ],
)
def test_a_secret_is_written_as_long_as_the_state_has_one(kept: Kept, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        kept.codec.encode(replace(kept.value, **changes))

    assert not [word for word in ("code-中", "auth-code") if word in str(refused.value)]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (datetime(9999, 12, 31, tzinfo=UTC), suite_codecs.LATEST),
        (datetime(1969, 12, 31, tzinfo=UTC), suite_codecs.EARLIEST),
    ],
    ids=["9999", "1969"],
)
def test_an_odd_date_of_wecom_costs_no_permanent_code(given: datetime, read: datetime) -> None:
    edition = Edition("1", "", 1, 1, given, shared_from_other_corp=False)
    agent = AuthorizedAgent(7, edition=edition, permissions=(Permission("doc", given),))
    odd = replace(AUTHORIZATION.value, agents=(agent,))
    codec = suite_codecs.AUTHORIZATIONS
    found = codec.decode(odd.key, codec.encode(odd)).agents[0]

    assert found.edition
    assert read == found.edition.expires_at
    assert read == found.permissions[0].expires_at


def test_equal_permissions_of_all_corps_are_one_value() -> None:
    codec = suite_codecs.AUTHORIZATIONS
    one, two = (codec.decode(AUTHORIZATION.key, AUTHORIZATION.record) for _ in range(2))

    assert one.agents[0].permissions[1] is two.agents[0].permissions[1]


@every_kind
async def test_no_secret_is_in_a_repr_or_in_what_is_stored(kept: Kept) -> None:
    secrets = [value for value in vars_of(kept.value).values() if isinstance(value, Secret)]
    shared = Shared(SystemClock())
    store = MemoryStore(shared)
    collection = SealedCollection(store, Seal([SealKey("k1", bytes(32))]), kept.codec, Notebook())
    lease = await taken(store, kept.record.name)
    assert await collection.commit(kept.value, lease)
    assert kept.value == await collection.find(kept.key)
    [stored] = shared.records.values()

    assert stored.durable
    for secret in secrets:
        plain = secret.reveal()
        assert plain not in repr(kept.value) + stored.name
        for visible in (plain.encode(), base64.b64encode(plain.encode()), ascii(plain)[1:-1].encode()):
            assert visible not in stored.payload
    assert bool(secrets) == (
        kept.value not in (CANCELLED.value, DONE.value, SUITE_KINDS["auth_code that is lost"].value)
    )


def vars_of(value: Any) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
