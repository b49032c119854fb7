"""The READMEs are short, show the same code in both languages, and what they show works."""

import tomllib
from pathlib import Path

import pytest

from broker.config.load import parse_config
from tests.architecture.pages.documents import CHINESE_README, LINK, README, blocks
from tests.architecture.sources import named

LONGEST = 120
SEAL_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def of_language(language: str) -> list[str]:
    return [code for found, code in blocks(README) if found == language]


@pytest.mark.parametrize("page", [README, CHINESE_README], ids=named)
def test_it_is_read_in_a_few_minutes(page: Path):
    assert len(page.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_both_languages_show_the_same_code():
    assert blocks(README)
    assert blocks(README) == blocks(CHINESE_README)


def test_both_languages_link_the_same_places():
    def links(page: Path) -> list[str]:
        return sorted(found[0] for found in LINK.finditer(page.read_text(encoding="utf-8")))

    english, chinese = links(README), links(CHINESE_README)
    assert [link.replace("README.zh-CN", "README") for link in english] == chinese


def test_the_least_configuration_is_accepted_alone_and_with_a_redis(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CRM_SECRET", "secret")
    monkeypatch.setenv("REDIS_URL", "redis://user:password@redis:6379/0")
    monkeypatch.setenv("SEAL_KEY", SEAL_KEY)
    app, store = of_language("toml")

    assert parse_config(tomllib.loads(app)).store.is_embedded
    assert not parse_config(tomllib.loads(app + store)).store.is_embedded


def test_the_python_example_is_python():
    for code in of_language("python"):
        compile(code, "README.md", "exec")
