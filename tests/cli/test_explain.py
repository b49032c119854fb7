"""`check-config --explain`: which rule decides what a caller may do."""

import json
from pathlib import Path

import pytest

from tests.cli.running import run

CONFIG = """
[[apps]]
name = "crm"
corp_id = "ww0123456789abcdef"
agent_id = 1000002
secret = "a-secret"

[[providers]]
name = "acme"
corp_id = "ww5d0e9b21c7a4f683"
secret = "a-secret"

[[apps]]
name = "market"
kind = "third_party"
suite_id = "ww8f3c1d5a77e0b942"
suite_secret = "a-secret"
provider = "acme"
callback = { token = "abc", aes_key = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C" }

[[callers]]
name = "reports"
token_sha256 = "1111111111111111111111111111111111111111111111111111111111111111"

[[callers]]
name = "orders"
token_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
allow = [
  { apps = ["crm"], corps = ["ww1*"], actions = ["token.get"] },
  { apps = ["*"], corps = ["ww0123456789abcdef"], actions = ["token.get", "share.read"] },
  { apps = ["crm"], actions = ["api.call"], paths = ["/cgi-bin/user/*"] },
  { apps = ["*"], actions = ["suite.token", "admin.read"] },
]
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    written = tmp_path / "broker.toml"
    written.write_text(CONFIG, encoding="utf-8")
    return str(written)


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (("orders", "token.get", "crm", "ww1child"), 0),
        (("orders", "token.get", "crm", "-"), 1),
        (("orders", "token.get", "crm", "ww0123456789abcdef"), 1),
        (("orders", "token.get", "crm", "ww2child"), None),
        (("orders", "token.report", "crm", "ww1child"), None),
        (("orders", "share.read", "market", "ww0123456789abcdef"), 1),
        (("orders", "token.get", "market", "-"), 3),
        (("orders", "admin.read", "-", "-"), 3),
        (("reports", "token.get", "crm", "-"), None),
    ],
)
def test_the_rule_that_decides_is_named(path: str, asked: tuple[str, ...], rule: int | None) -> None:
    shown = run("check-config", "--config", path, "--explain", *asked)
    told = json.loads(run("check-config", "--config", path, "--json", "--explain", *asked).stdout)

    place = None if rule is None else f"callers[1].allow[{rule}]"
    assert (rule is not None, place) == (told["allowed"], told["rule"])
    assert (0 if place else 1) == shown.exit_code
    assert (
        f"allowed by {place}: " if place else f"denied, no rule of {asked[0]} covers it: "
    ) in shown.stdout


def test_a_denial_says_by_which_keys_each_rule_misses(path: str) -> None:
    asked = ("orders", "token.get", "crm", "ww2child")
    told = json.loads(run("check-config", "--config", path, "--json", "--explain", *asked).stdout)

    assert [
        {"rule": "callers[1].allow[0]", "keys": ["corps"]},
        {"rule": "callers[1].allow[1]", "keys": ["corps"]},
        {"rule": "callers[1].allow[2]", "keys": ["actions"]},
        {"rule": "callers[1].allow[3]", "keys": ["actions"]},
    ] == told["misses"]


@pytest.mark.parametrize(("api_path", "code"), [("/cgi-bin/user/get", 0), ("/cgi-bin/menu/get", 1), ("", 2)])
def test_the_path_of_a_call_counts(path: str, api_path: str, code: int) -> None:
    asked = ("--explain", "orders", "api.call", "crm", "ww1child", "--path", api_path)

    assert code == run("check-config", "--config", path, *asked).exit_code


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("order", "token.get", "crm", "-"), "no caller 'order' is known; did you mean orders?"),
        (("orders", "token.gets", "crm", "-"), "no action 'token.gets' is known; did you mean token.get?"),
        (("orders", "token.get", "crn", "-"), "no app 'crn' is known; did you mean crm?"),
    ],
)
def test_an_unknown_name_is_told(path: str, asked: tuple[str, ...], told: str) -> None:
    shown = run("check-config", "--config", path, "--explain", *asked)

    assert 2 == shown.exit_code
    assert told in shown.stderr


def test_without_callers_there_is_no_rule_and_nothing_is_denied(path: str) -> None:
    Path(path).write_text(CONFIG.partition("[[callers]]")[0], encoding="utf-8")
    shown = run("check-config", "--config", path, "--explain", "orders", "token.get", "crm", "-")

    assert 2 == shown.exit_code
    assert "everybody on this machine may do everything" in shown.stderr
