"""What callers may do: nothing, unless a rule allows it."""

import pytest

from broker.domain.access import ANYONE, Action, Caller, Rule
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import CallerNotAllowed


def rule(apps: tuple[str, ...] = ("crm",), corps: tuple[str, ...] = ("*",), *actions: Action) -> Rule:
    return Rule(apps, corps, frozenset(actions or (Action.TOKEN_GET,)))


def allows(caller: Caller, action: Action = Action.TOKEN_GET, app: str = "crm", corp_id: str = "ww1") -> bool:
    policy = CallerPolicy((caller, Caller("another")))
    try:
        policy.check(caller, action, app, corp_id)
    except CallerNotAllowed:
        return False
    return True


def test_a_caller_without_rules_may_do_nothing() -> None:
    orders = Caller("orders")

    assert [] == [action for action in Action if allows(orders, action)]


def test_nobody_but_the_configured_callers_may_do_anything() -> None:
    assert not allows(ANYONE)


def test_without_configured_callers_everybody_may_do_everything() -> None:
    policy = CallerPolicy()

    assert policy.is_open
    for action in Action:
        policy.check(ANYONE, action, "crm", "ww1")


def test_a_rule_allows_its_actions_only() -> None:
    orders = Caller("orders", rules=(rule(("crm",), ("*",), Action.TOKEN_GET, Action.SHARE_READ),))

    assert {Action.TOKEN_GET, Action.SHARE_READ} == {action for action in Action if allows(orders, action)}


@pytest.mark.parametrize(
    ("patterns", "app", "allowed"),
    [
        (("crm",), "crm", True),
        (("crm",), "crm2", False),
        (("crm",), "CRM", False),
        (("crm",), "", False),
        (("crm", "hr"), "hr", True),
        (("crm-*",), "crm-eu", True),
        (("crm-*",), "crm", False),
        (("crm?",), "crm2", True),
        (("crm?",), "crm", False),
        (("*",), "anything", True),
        (("*",), "", True),
        (("**",), "", False),
        ((), "crm", False),
    ],
)
def test_a_rule_s_patterns_choose_the_apps(patterns: tuple[str, ...], app: str, allowed: bool) -> None:
    assert allowed is allows(Caller("orders", rules=(rule(patterns),)), app=app)


@pytest.mark.parametrize(
    ("patterns", "corp_id", "allowed"),
    [
        (("ww1child",), "ww1child", True),
        (("ww1child",), "ww1child2", False),
        (("wpABC",), "wpabc", False),
        (("ww1*",), "ww1child", True),
        (("ww1*",), "ww2child", False),
        (("*",), "ww1child", True),
    ],
)
def test_a_rule_s_patterns_choose_the_corps_by_exact_case(
    patterns: tuple[str, ...], corp_id: str, allowed: bool
) -> None:
    assert allowed is allows(Caller("orders", rules=(rule(("*",), patterns),)), corp_id=corp_id)


def test_rights_of_two_rules_do_not_combine_into_a_third() -> None:
    orders = Caller(
        "orders",
        rules=(rule(("crm",), ("ww1",), Action.TOKEN_GET), rule(("hr",), ("ww2",), Action.SHARE_READ)),
    )

    assert allows(orders, Action.TOKEN_GET, "crm", "ww1")
    assert allows(orders, Action.SHARE_READ, "hr", "ww2")
    assert not allows(orders, Action.TOKEN_GET, "hr", "ww2")
    assert not allows(orders, Action.TOKEN_GET, "crm", "ww2")


def test_all_apps_together_need_a_rule_for_any_app() -> None:
    narrow = Caller("narrow", rules=(rule(("crm",), ("*",), Action.ADMIN_READ),))
    wide = Caller("wide", rules=(rule(("*",), ("*",), Action.ADMIN_READ),))

    assert not allows(narrow, Action.ADMIN_READ, app="", corp_id="")
    assert allows(wide, Action.ADMIN_READ, app="", corp_id="")


def test_a_refusal_says_who_was_refused_what() -> None:
    policy = CallerPolicy((Caller("orders"),))

    with pytest.raises(CallerNotAllowed) as refused:
        policy.check(policy.callers[0], Action.TOKEN_GET, "crm", "ww1")
    assert {
        "caller": "orders",
        "action": "token.get",
        "app": "crm",
        "corp_id": "ww1",
    } == refused.value.metadata


def test_the_actions_have_the_names_of_the_configuration() -> None:
    assert {
        "token.get",
        "token.report",
        "jssdk.sign",
        "jssdk.report",
        "ticket.get",
        "miniprogram.session",
        "miniprogram.session_key",
        "identity.exchange",
        "share.read",
        "share.sync",
        "event.subscribe",
        "callback.open",
        "api.call",
        "suite.manage",
        "suite.token",
        "provider.token",
        "admin.read",
        "admin.refresh",
    } == {str(action) for action in Action}
