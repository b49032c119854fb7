"""Secrets: where they may stand, what is trimmed of them, and which ones cannot be right."""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.config import mapping
from broker.config.load import ConfigError, parse_config
from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import CallbackKeys
from tests.kit.processes.broker_process import to_toml

SEAL_KEY = base64.b64encode(bytes(range(32))).decode()
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CRM: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}
STORE = {"url": "redis://127.0.0.1:6379", "seal_keys": [{"id": "k1", "key": SEAL_KEY}]}
PADDINGS = [" ", "\t", "\n", "\r\n", "\r", "\ufeff", "\ufeff \n", " \ufeff", "\u00a0", "\u3000", "\u200b"]


def mistakes(given_: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_config(given_)
    return refused.value.problems


def keys_of(problems: list[str]) -> set[str]:
    return {problem.partition(": ")[0] for problem in problems}


def test_a_secret_stands_in_the_file_itself() -> None:
    assert "a-secret" == parse_config({"apps": [CRM]}).apps[0].secret.reveal()


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SECRET", "from-outside")

    assert (
        "from-outside"
        == parse_config({"apps": [{**CRM, "secret": {"env": "CRM_SECRET"}}]}).apps[0].secret.reveal()
    )


@pytest.mark.parametrize("padding", PADDINGS, ids=ascii)
@pytest.mark.parametrize("place", ["string", "env", "file"])
def test_what_tools_add_around_a_secret_is_trimmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, padding: str
) -> None:
    for written in (f"{padding}good", f"good{padding}", f"{padding}good{padding}"):
        monkeypatch.setenv("PADDED", written)
        (tmp_path / "padded").write_text(written, encoding="utf-8", newline="")
        given = {"string": written, "env": {"env": "PADDED"}, "file": {"file": str(tmp_path / "padded")}}

        assert "good" == parse_config({"apps": [{**CRM, "secret": given[place]}]}).apps[0].secret.reveal()


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        ("go od", "a blank"),
        ("go\tod", "a blank"),
        ("go\nod", "a blank"),
        ("go\u3000od", "a blank"),
        ('"good"', "a quotation mark"),
        ("'good'", "a quotation mark"),
        ("`good`", "a quotation mark"),
        ("go\x07od", "a control character"),
        ("go\x7fod", "a control character"),
        ("gööd", "a character that is not ASCII"),
        ("“good”", "a character that is not ASCII"),
        ("go\ufeffod", "a character that is not ASCII"),
    ],
)
def test_a_secret_that_cannot_be_wecom_s_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, odd: str, what: str
) -> None:
    monkeypatch.setenv("CRM_SECRET", odd)

    for given in (odd, {"env": "CRM_SECRET"}):
        assert [f"apps[0].secret: has {what}, which no secret of WeCom's has"] == mistakes(
            {"apps": [{**CRM, "secret": given}]}
        )


def test_keys_and_tokens_are_trimmed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAL_KEY", f"\ufeff{SEAL_KEY}\r\n")
    app = {**CRM, "callback": {"token": " abc\n", "aes_key": f"{AES_KEY}\t"}}
    store = {"url": " redis://127.0.0.1\n", "seal_keys": [{"id": "k1", "key": {"env": "SEAL_KEY"}}]}
    read = parse_config({"apps": [app], "store": store})

    assert bytes(range(32)) == read.store.seal_keys[0].key_bytes()
    assert "redis://127.0.0.1" == read.store.url.reveal()
    assert {"crm": CallbackKeys(Secret("abc"), Secret(AES_KEY))} == {
        name: settings.keys for name, settings in mapping.callbacks(read).items()
    }


LOCALES = {"C": "C", "latin-1": "en_US.ISO-8859-1"}


@pytest.mark.slow
@pytest.mark.parametrize("locale", LOCALES)
def test_what_is_written_in_utf_8_is_read_so_whatever_the_locale(tmp_path: Path, locale: str) -> None:
    if locale == "latin-1":
        made = shutil.which("localedef") and subprocess.run(
            ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / LOCALES[locale])],
            capture_output=True,
            check=False,
        )
        if not made or made.returncode:
            pytest.skip("this machine cannot make a Latin-1 locale")
    password = "pässwörd"
    (tmp_path / "url").write_text(f"\ufeffredis://:{password}@127.0.0.1\n", encoding="utf-8")
    (tmp_path / "broker.toml").write_text(
        "# 企业微信\n" + to_toml({"apps": [CRM], "store": {**STORE, "url": {"file": str(tmp_path / "url")}}}),
        encoding="utf-8-sig",
    )
    program = (
        "import sys; from pathlib import Path; from broker.config.load import load_config, parse_config;"
        "config = load_config(Path(sys.argv[1]));"
        "again = parse_config({'apps': [app.model_dump() for app in config.apps],"
        " 'store': {**config.store.model_dump(), 'url': {'env': 'STORE_URL'}}});"
        "sys.stdout.write(ascii([found.store.url.reveal() for found in (config, again)]))"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": LOCALES[locale],
        "LOCPATH": str(tmp_path),
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "STORE_URL": f"redis://:{password}@127.0.0.1",
    }
    if locale == "C":
        del environment["LOCPATH"]
    command = [sys.executable, "-c", program, str(tmp_path / "broker.toml")]
    # The child gets the variable as UTF-8, as a shell or a supervisor gives it.
    raw = {name.encode(): value.encode() for name, value in environment.items()}
    ran = subprocess.run(command, capture_output=True, env=raw, check=False, cwd=Path(__file__).parents[3])

    assert (b"", 0) == (ran.stderr, ran.returncode)
    assert ascii([f"redis://:{password}@127.0.0.1"] * 2) == ran.stdout.decode()


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_SECRET", raising=False)

    assert ["apps[0].secret: environment variable CRM_SECRET is not set"] == mistakes(
        {"apps": [{**CRM, "secret": {"env": "CRM_SECRET"}}]}
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "cannot read {}: No such file or directory"),
        (lambda path: path.mkdir(), "cannot read {}: Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe\xfd"), "{} is UTF-16; save it as UTF-8"),
        (lambda path: path.write_bytes(b"\xfd"), "{} is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make: Any, problem: str) -> None:
    path = tmp_path / "secret"
    make(path)

    assert [f"apps[0].secret: {problem.format(path)}"] == mistakes(
        {"apps": [{**CRM, "secret": {"file": str(path)}}]}
    )


def test_an_empty_secret_is_a_mistake_wherever_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "empty").write_text("\n")

    for empty in ("", {"env": "EMPTY"}, {"file": str(tmp_path / "empty")}):
        assert ["apps[0].secret: is empty"] == mistakes({"apps": [{**CRM, "secret": empty}]})


@pytest.mark.parametrize(
    "given_",
    [
        5,
        True,
        [],
        {},
        ["a"],
        {"env": 1},
        {"env": ["A"]},
        {"env": "A", "file": "b"},
        {"value": "a"},
        {"file": None},
        {"command": []},
        {"command": "vault kv get"},
        {"command": ["vault", 1]},
        {"command": ["vault"], "env": "A"},
    ],
    ids=repr,
)
def test_what_is_no_secret_says_how_to_write_one(given_: object) -> None:
    problem = 'must be a string, { env = "NAME" }, { file = "path" } or { command = ["program", "argument"] }'

    assert [f"apps[0].secret: {problem}"] == mistakes({"apps": [{**CRM, "secret": given_}]})


@pytest.mark.parametrize(
    "key", ["", "c2hvcnQ=", SEAL_KEY[:-4], SEAL_KEY + "AAAA", "!" * 44, SEAL_KEY.replace("=", ""), "é" * 32]
)
def test_a_seal_key_is_base64_of_32_bytes(key: str) -> None:
    problems = mistakes({"apps": [CRM], "store": {**STORE, "seal_keys": [{"id": "k1", "key": key}]}})

    assert {"store.seal_keys[0].key"} == keys_of(problems)
    assert 1 == len(problems)


def test_two_seal_keys_of_the_same_bytes_are_a_mistake() -> None:
    keys = [{"id": name, "key": SEAL_KEY} for name in ("k1", "k2")]

    assert ["store.seal_keys[1].key: is the same key as store.seal_keys[0] ('k1')"] == mistakes(
        {"apps": [CRM], "store": {**STORE, "seal_keys": keys}}
    )
