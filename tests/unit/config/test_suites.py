"""Providers and suites in the configuration: their keys, and their mistakes told by key."""

from datetime import timedelta
from typing import Any

import pytest

from broker.config import mapping
from broker.config.checking.warnings import warnings
from broker.config.load import ConfigError, parse_config
from broker.domain.apps import App, AppKind
from broker.domain.corps import ShareKind
from broker.domain.secret import Secret
from broker.domain.suites.suite import Provider, Suite
from tests.unit.config.test_warnings import NOW

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ACME: dict[str, Any] = {"name": "acme", "corp_id": "ww5d0e9b21c7a4f683", "secret": "provider-secret"}
CRM: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}


def callback(token: str, **keys: Any) -> dict[str, Any]:
    return {"token": token, "aes_key": KEY, **keys}


MARKET: dict[str, Any] = {
    "name": "market",
    "kind": "third_party",
    "suite_id": "ww8f3c1d5a77e0b942",
    "suite_secret": "suite-secret",
    "provider": "acme",
    "callback": callback("market"),
}
TAILORED: dict[str, Any] = {
    "name": "tailored",
    "kind": "customized",
    "suite_id": "dk3b9a6f0e52d7c184",
    "suite_secret": "template-secret",
    "provider": "acme",
    "callback": callback("tailored"),
}
PROVIDER = Provider("acme", "ww5d0e9b21c7a4f683", Secret("provider-secret"))


def config(*apps: dict[str, Any], providers: Any = (ACME,), **tables: Any) -> Any:
    return parse_config({"apps": list(apps), "providers": list(providers), **tables})


def mistakes(*apps: dict[str, Any], **tables: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        config(*apps, **tables)
    return refused.value.problems


def without(table: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


# --- what is accepted


def test_apps_suites_and_providers_are_in_one_catalogue():
    catalog = mapping.catalog(config(CRM, MARKET, {**TAILORED, "share_kinds": ["supply_chain"]}))

    assert {
        "crm": App("crm", AppKind.SELF_BUILT, "ww0parent", 1000002, Secret("a-secret")),
    } == catalog.apps
    assert {
        "market": Suite(
            "market", AppKind.THIRD_PARTY, "ww8f3c1d5a77e0b942", Secret("suite-secret"), PROVIDER
        ),
        "tailored": Suite(
            "tailored",
            AppKind.CUSTOMIZED,
            "dk3b9a6f0e52d7c184",
            Secret("template-secret"),
            PROVIDER,
            (ShareKind.SUPPLY_CHAIN,),
        ),
    } == catalog.suites
    assert {"acme": PROVIDER} == catalog.providers


def test_a_provider_alone_is_enough():
    assert {"acme": PROVIDER} == mapping.catalog(config()).providers


@pytest.mark.parametrize("suite_id", ["ww8f3c1d5a77e0b942", "wx4asffe99e54c0f4c", "tj4asffe99e54c0f4c"])
def test_a_third_party_suite_id_has_one_of_three_beginnings(suite_id: str):
    assert suite_id == mapping.catalog(config({**MARKET, "suite_id": suite_id})).suite("market").suite_id


def test_suites_and_providers_have_callbacks_beside_apps():
    found = mapping.callbacks(
        config(
            {**CRM, "callback": callback("crm")},
            {**MARKET, "callback": callback("market", max_age_seconds=0, accept_empty_receive_id=True)},
            TAILORED,
            providers=[{**ACME, "callback": callback("acme", check_sender=True)}],
        )
    )

    assert ["crm", "market", "tailored", "acme"] == list(found)
    assert (None, True) == (found["market"].max_age, found["market"].accept_empty_receive_id)
    assert (timedelta(minutes=10), True) == (found["acme"].max_age, found["acme"].check_sender)
    assert found["crm"].accept_child_receive_id
    assert not found["tailored"].accept_child_receive_id


def test_a_client_has_its_own_callback_or_the_one_of_all_clients():
    tailored = {
        **TAILORED,
        "corp_callback": callback("clients"),
        "corp_callbacks": {"wpOne": callback("one")},
    }
    found = mapping.client_callbacks(config(tailored, MARKET))

    assert ["tailored"] == list(found)
    assert {"wpOne": "one", "wpTwo": "clients", "wpone": "clients"} == {
        corp_id: settings.keys.token.reveal()
        for corp_id in ("wpOne", "wpTwo", "wpone")
        if (settings := found["tailored"].of(corp_id))
    }


def test_a_client_without_callback_has_none():
    found = mapping.client_callbacks(config({**TAILORED, "corp_callbacks": {"wpOne": callback("one")}}))

    assert found["tailored"].of("wpTwo") is None


def test_a_client_may_have_the_keys_that_the_console_fills_in():
    tailored = {**TAILORED, "corp_callback": TAILORED["callback"]}

    assert mapping.client_callbacks(config(tailored))["tailored"].of("wpOne")


@pytest.mark.parametrize("apps", [["market"], ["acme"], ["a*"], ["*"]])
def test_a_rule_may_name_suites_and_providers(apps: list[str]):
    caller = {
        "name": "orders",
        "token_sha256": "0" * 64,
        "allow": [{"apps": apps, "actions": ["suite.token", "provider.token"]}],
    }

    assert [] == warnings(config(MARKET, callers=[caller]), NOW)


# --- mistakes

BY_KEY: list[tuple[dict[str, Any], set[str]]] = [
    ({**MARKET, "kind": "suite"}, {"apps[0].kind"}),
    ({**MARKET, "kind": 3}, {"apps[0].kind"}),
    ({**MARKET, "name": "m k"}, {"apps[0].name"}),
    ({**MARKET, "suite_id": "ww 1"}, {"apps[0].suite_id"}),
    ({**MARKET, "suite_id": 7}, {"apps[0].suite_id"}),
    ({**MARKET, "suite_secret": "with blank"}, {"apps[0].suite_secret"}),
    ({**MARKET, "suite_secret": {"env": "NOT_SET_ANYWHERE"}}, {"apps[0].suite_secret"}),
    ({**MARKET, "provider": 1}, {"apps[0].provider"}),
    ({**MARKET, "share_kinds": ["own"]}, {"apps[0].share_kinds[0]"}),
    ({**MARKET, "share_kinds": "corp_group"}, {"apps[0].share_kinds"}),
    ({**MARKET, "callback": "token"}, {"apps[0].callback"}),
    ({**MARKET, "callback": {"token": "a b"}}, {"apps[0].callback.token", "apps[0].callback.aes_key"}),
    ({**MARKET, "callback": callback("a", max_age_seconds=-1)}, {"apps[0].callback.max_age_seconds"}),
    (
        {**MARKET, "callback": callback("a", accept_child_receive_id=True)},
        {"apps[0].callback.accept_child_receive_id"},
    ),
    ({**MARKET, "mini_program": {"app_id": "w x"}}, {"apps[0].mini_program.app_id"}),
    ({**MARKET, "corp_id": "ww1", "agent_id": 1}, {"apps[0].corp_id", "apps[0].agent_id"}),
    ({**MARKET, "secret": "s"}, {"apps[0].secret"}),
    ({**MARKET, "corp_callback": callback("a")}, {"apps[0].corp_callback"}),
    ({**MARKET, "corp_callbacks": {}}, {"apps[0].corp_callbacks"}),
    ({**TAILORED, "corp_callback": {"token": "a"}}, {"apps[0].corp_callback.aes_key"}),
    ({**TAILORED, "corp_callbacks": []}, {"apps[0].corp_callbacks"}),
    ({**TAILORED, "corp_callbacks": {"wpOne": 3}}, {"apps[0].corp_callbacks.wpOne"}),
    (
        {**TAILORED, "corp_callbacks": {"wpOne": callback("a b", x=1)}},
        {"apps[0].corp_callbacks.wpOne.token", "apps[0].corp_callbacks.wpOne.x"},
    ),
    ({**TAILORED, "corp_callbacks": {"wp One": callback("a")}}, {"apps[0].corp_callbacks.wp One"}),
    ({**CRM, "suite_id": "ww1", "provider": "acme"}, {"apps[0].suite_id", "apps[0].provider"}),
]
REQUIRED = ("name", "suite_id", "suite_secret", "provider", "callback")


@pytest.mark.parametrize(("app", "keys"), BY_KEY, ids=[str(number) for number in range(len(BY_KEY))])
def test_each_mistake_of_a_suite_is_told_by_its_key(app: dict[str, Any], keys: set[str]):
    assert keys == {problem.partition(": ")[0] for problem in mistakes(app)}


@pytest.mark.parametrize("suite", [MARKET, TAILORED], ids=["third_party", "customized"])
@pytest.mark.parametrize("key", REQUIRED)
def test_what_a_suite_needs_is_required(suite: dict[str, Any], key: str):
    (problem,) = mistakes(without(suite, key))

    assert problem.startswith(f"apps[0].{key}: is required")


def test_a_suite_without_callback_never_gets_a_ticket():
    assert ["apps[0].callback: is required: WeCom pushes the suite_ticket there"] == mistakes(
        without(MARKET, "callback")
    )


PROVIDER_KEYS: list[tuple[Any, set[str]]] = [
    ([3], {"providers[0]"}),
    ("acme", {"providers"}),
    ([{}], {"providers[0].name", "providers[0].corp_id", "providers[0].secret"}),
    ([{**ACME, "name": ""}], {"providers[0].name"}),
    ([{**ACME, "corp_id": "w w"}], {"providers[0].corp_id"}),
    ([{**ACME, "secret": "'quoted'"}], {"providers[0].secret"}),
    ([{**ACME, "agent_id": 1}], {"providers[0].agent_id"}),
    ([{**ACME, "callback": callback("a", aes_key="short")}], {"providers[0].callback.aes_key"}),
    ([{**ACME, "callback": callback("a", check_sender="x")}], {"providers[0].callback.check_sender"}),
    ([ACME, {**ACME, "corp_id": "ww2"}], {"providers[1].name"}),
    ([ACME, {**ACME, "name": "other"}], {"providers[1].corp_id"}),
]


@pytest.mark.parametrize(("given", "keys"), PROVIDER_KEYS, ids=[str(n) for n in range(len(PROVIDER_KEYS))])
def test_each_mistake_of_a_provider_is_told_by_its_key(given: Any, keys: set[str]):
    with pytest.raises(ConfigError) as refused:
        parse_config({"apps": [MARKET], "providers": given})

    assert keys == {problem.partition(": ")[0] for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("suite", "suite_id", "begins", "looks_like"),
    [
        (MARKET, "dk3b9a6f0e52d7c184", "ww or wx or tj", '; it looks like one of kind = "customized"'),
        (TAILORED, "ww8f3c1d5a77e0b942", "dk", '; it looks like one of kind = "third_party"'),
        (TAILORED, "Dk3b9a6f0e52d7c184", "dk", ""),
    ],
    ids=["customized", "third_party", "neither"],
)
def test_a_suite_id_of_the_other_kind_is_recognised(
    suite: dict[str, Any], suite_id: str, begins: str, looks_like: str
):
    problem = f'apps[0].suite_id: is no suite_id of kind = "{suite["kind"]}", which begins with {begins}'

    assert [problem + looks_like] == mistakes({**suite, "suite_id": suite_id})


def test_a_suite_names_a_configured_provider():
    assert ["apps[0].provider: no provider 'acne' is in [[providers]]; did you mean acme?"] == mistakes(
        {**MARKET, "provider": "acne"}
    )


def test_a_provider_that_has_a_mistake_is_not_called_unknown():
    (problem,) = mistakes(MARKET, providers=[{**ACME, "corp_id": "w w"}])

    assert problem.startswith("providers[0].corp_id: ")


def test_apps_and_providers_have_different_names():
    assert ["providers[0].name: market is used already"] == mistakes(
        {**MARKET, "provider": "market"}, providers=[{**ACME, "name": "market"}]
    )


def test_one_suite_has_one_name():
    other = {**MARKET, "name": "market2", "callback": callback("market2")}

    assert ["apps[1].suite_id: ww8f3c1d5a77e0b942 is used already"] == mistakes(MARKET, other)


SAME = callback("market")


@pytest.mark.parametrize(
    ("apps", "providers", "problem"),
    [
        (
            [MARKET, {**TAILORED, "callback": SAME}],
            [ACME],
            "apps[1].callback: has the token and aes_key of market",
        ),
        (
            [MARKET],
            [{**ACME, "callback": SAME}],
            "providers[0].callback: has the token and aes_key of market",
        ),
        (
            [MARKET, {**TAILORED, "corp_callback": SAME}],
            [ACME],
            "apps[1].corp_callback: has the token and aes_key of market",
        ),
        (
            [MARKET, {**TAILORED, "corp_callbacks": {"wpOne": SAME}}],
            [ACME],
            "apps[1].corp_callbacks.wpOne: has the token and aes_key of market",
        ),
        (
            [{**TAILORED, "corp_callbacks": {"wpOne": SAME, "wpTwo": SAME}}],
            [ACME],
            "apps[0].corp_callbacks.wpTwo: has the token and aes_key of corp_callbacks.wpOne",
        ),
        (
            [{**TAILORED, "corp_callback": SAME, "corp_callbacks": {"wpOne": SAME}}],
            [ACME],
            "apps[0].corp_callbacks.wpOne: has the token and aes_key of corp_callback",
        ),
        (
            [{**TAILORED, "callback": SAME, "corp_callbacks": {"wpOne": SAME}}],
            [ACME],
            "apps[0].corp_callbacks.wpOne: has the token and aes_key of callback",
        ),
    ],
    ids=[str(number) for number in range(7)],
)
def test_no_two_callbacks_have_the_same_keys(apps: Any, providers: Any, problem: str):
    assert [f"{problem}; each app has its own"] == mistakes(*apps, providers=providers)


def test_an_unknown_key_is_compared_with_those_of_the_app_s_kind():
    (problem,) = mistakes({**MARKET, "suite_idd": "x"})
    assert "apps[0].suite_idd: unknown key; did you mean suite_id?" == problem

    (problem,) = mistakes({**TAILORED, "corp_calbacks": {}})
    assert "apps[0].corp_calbacks: unknown key; did you mean corp_callbacks?" == problem


def test_a_kind_that_does_not_exist_is_told_which_there_are():
    (problem,) = mistakes({**MARKET, "kind": "secret-thing"})

    assert "apps[0].kind: must be self_built, third_party or customized" == problem


def test_no_secret_of_a_suite_or_provider_shows():
    read = config(MARKET, {**TAILORED, "corp_callbacks": {"wpOne": callback("clienttoken")}})
    shown = repr(read) + repr(mapping.catalog(read)) + repr(mapping.callbacks(read))
    shown += repr(mapping.client_callbacks(read))

    assert [] == [
        word
        for word in ("suite-secret", "template-secret", "provider-secret", KEY, "clienttoken")
        if word in shown
    ]
