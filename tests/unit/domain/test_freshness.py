"""When a credential is served, renewed in the background, waited for, or gone (engine rule 4)."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.credentials import Credential, Freshness, RefreshPolicy
from tests.unit.domain.credentials import KEY, NOON, TICK, credential

POLICY = RefreshPolicy(advisory=0.8, mandatory=timedelta(seconds=60), cooldown=timedelta(seconds=10))
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)

BORDERS = [
    ("at once", timedelta(0), Freshness.FRESH),
    ("just before the advisory moment", 96 * MINUTE - TICK, Freshness.FRESH),
    ("at the advisory moment", 96 * MINUTE, Freshness.AGEING),
    ("with exactly the mandatory span left", 119 * MINUTE, Freshness.AGEING),
    ("with less than the mandatory span left", 119 * MINUTE + TICK, Freshness.NEARLY_GONE),
    ("in its last instant", 120 * MINUTE - TICK, Freshness.NEARLY_GONE),
    ("at its expiry", 120 * MINUTE, Freshness.EXPIRED),
    ("long after", 500 * MINUTE, Freshness.EXPIRED),
]


@pytest.mark.parametrize(("when", "age", "expected"), BORDERS, ids=[when for when, _, _ in BORDERS])
def test_freshness_changes_exactly_at_its_borders(when: str, age: timedelta, expected: Freshness) -> None:
    assert expected is credential().freshness(NOON + age, POLICY)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (80 * SECOND - TICK, Freshness.FRESH),
        (80 * SECOND, Freshness.AGEING),
        (90 * SECOND, Freshness.AGEING),
        (90 * SECOND + TICK, Freshness.NEARLY_GONE),
    ],
)
def test_a_short_life_is_nearly_gone_in_its_last_tenth_only(age: timedelta, expected: Freshness) -> None:
    assert expected is credential(100 * SECOND).freshness(NOON + age, POLICY)


def test_a_mandatory_span_longer_than_the_life_does_not_make_every_call_wait() -> None:
    policy = RefreshPolicy(mandatory=timedelta(hours=1))

    assert Freshness.FRESH is credential(100 * SECOND).freshness(NOON, policy)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (90 * MINUTE, Freshness.FRESH),
        (90 * MINUTE + TICK, Freshness.NEARLY_GONE),
        (120 * MINUTE, Freshness.EXPIRED),
    ],
)
def test_a_caller_s_least_life_is_met_or_waited_for(age: timedelta, expected: Freshness) -> None:
    assert expected is credential().freshness(NOON + age, POLICY, min_ttl=30 * MINUTE)


def test_a_least_life_longer_than_any_counts_as_the_advisory_share_of_what_wecom_gives() -> None:
    assert Freshness.FRESH is credential().freshness(NOON + 24 * MINUTE, POLICY, min_ttl=timedelta.max)
    assert Freshness.NEARLY_GONE is credential().freshness(
        NOON + 24 * MINUTE + TICK, POLICY, min_ttl=timedelta.max
    )


def test_without_a_mandatory_span_it_ages_to_the_end() -> None:
    policy = RefreshPolicy(mandatory=timedelta(0))

    assert Freshness.AGEING is credential().freshness(NOON + 120 * MINUTE - TICK, policy)


def test_the_advisory_moment_counts_from_the_last_renewal() -> None:
    renewed = credential(renewed_after=100 * MINUTE)

    assert NOON + 116 * MINUTE == renewed.advisory_moment(POLICY)


def test_the_mandatory_tenth_counts_from_when_the_value_came_first() -> None:
    renewed = credential(100 * SECOND, renewed_after=50 * SECOND)

    assert Freshness.AGEING is renewed.freshness(NOON + 90 * SECOND, POLICY)
    assert Freshness.NEARLY_GONE is renewed.freshness(NOON + 90 * SECOND + TICK, POLICY)


def test_it_is_valid_until_its_expiry_and_no_longer() -> None:
    assert credential().is_valid(NOON + 120 * MINUTE - TICK)
    assert not credential().is_valid(NOON + 120 * MINUTE)


def test_freshness_falls_from_fresh_to_expired() -> None:
    falling = [Freshness.FRESH, Freshness.AGEING, Freshness.NEARLY_GONE, Freshness.EXPIRED]

    assert falling == sorted(Freshness, reverse=True)


@pytest.mark.parametrize(
    ("age", "lately"), [(timedelta(0), True), (10 * SECOND - TICK, True), (10 * SECOND, False)]
)
def test_it_was_renewed_lately_for_one_cooldown(age: timedelta, lately: bool) -> None:
    assert lately is credential().renewed_lately(NOON + age, POLICY)


@pytest.mark.parametrize(("age", "lately"), [(4 * SECOND - TICK, True), (4 * SECOND, False)])
def test_a_short_life_was_renewed_lately_for_a_tenth_of_it(age: timedelta, lately: bool) -> None:
    assert lately is credential(40 * SECOND).renewed_lately(NOON + age, POLICY)


def test_an_expired_credential_was_never_renewed_lately() -> None:
    policy = RefreshPolicy(cooldown=timedelta(days=1))
    at_the_end = credential(40 * SECOND, renewed_after=40 * SECOND)

    assert not at_the_end.renewed_lately(NOON + 40 * SECOND, policy)


def seconds(most: float) -> st.SearchStrategy[timedelta]:
    return st.timedeltas(min_value=timedelta(0), max_value=timedelta(seconds=most))


lives = st.timedeltas(min_value=TICK, max_value=timedelta(days=30))
policies = st.builds(
    RefreshPolicy, advisory=st.floats(0.01, 0.99), mandatory=seconds(3600), cooldown=seconds(86400)
)


@st.composite
def credentials(draw: st.DrawFn) -> Credential:
    lifetime = draw(lives)
    renewed_after = draw(st.timedeltas(min_value=timedelta(0), max_value=lifetime))
    return credential(lifetime, renewed_after=renewed_after)


@st.composite
def credentials_with_moments(draw: st.DrawFn) -> tuple[Credential, datetime]:
    found = draw(credentials())
    return found, NOON + draw(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)))


@given(credentials_with_moments(), policies)
def test_fresh_until_agrees_with_freshness_at_any_moment(
    given_: tuple[Credential, datetime], policy: RefreshPolicy
) -> None:
    found, now = given_
    # The border itself may fall on either side: it depends on which of the two moments made it.
    if now != found.fresh_until(policy):
        assert (now < found.fresh_until(policy)) is (found.freshness(now, policy) is Freshness.FRESH)


@given(credentials(), policies)
def test_fresh_until_is_never_later_than_the_end_of_freshness(
    found: Credential, policy: RefreshPolicy
) -> None:
    assert Freshness.FRESH is not found.freshness(found.fresh_until(policy) + TICK, policy)


@given(credentials(), policies, st.lists(st.timedeltas(timedelta(0), timedelta(days=40)), min_size=2))
def test_freshness_only_falls(found: Credential, policy: RefreshPolicy, ages: list[timedelta]) -> None:
    seen = [found.freshness(NOON + age, policy) for age in sorted(ages)]

    assert sorted(seen, reverse=True) == seen


@given(credentials_with_moments(), policies, seconds(90 * 86400))
def test_a_least_life_never_makes_a_credential_fresher(
    given_: tuple[Credential, datetime], policy: RefreshPolicy, min_ttl: timedelta
) -> None:
    found, now = given_

    assert found.freshness(now, policy, min_ttl) <= found.freshness(now, policy)


@given(credentials_with_moments(), policies)
def test_it_is_valid_exactly_while_it_is_not_expired(
    given_: tuple[Credential, datetime], policy: RefreshPolicy
) -> None:
    found, now = given_

    assert found.is_valid(now) is (found.freshness(now, policy) is not Freshness.EXPIRED)


@given(credentials_with_moments(), policies)
def test_what_was_renewed_lately_is_valid(given_: tuple[Credential, datetime], policy: RefreshPolicy) -> None:
    found, now = given_

    assert found.is_valid(now) or not found.renewed_lately(now, policy)


def test_a_credential_shows_its_key_but_not_its_value() -> None:
    shown = repr(credential())

    assert KEY.corp_id in shown
    assert "token-of-the-child" not in shown
