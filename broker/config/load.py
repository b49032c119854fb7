"""Read the configuration from TOML, and report every mistake at once, by key."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker.config.checking.combined import combined_mistakes
from broker.config.checking.wording import message_of, without_tag
from broker.config.schema import Config
from broker.config.text import NotToml, NotUtf8, read_toml

LEVEL_VARIABLE = "WECOM_BROKER_LOG_LEVEL"
KEY_ITSELF = "[key]"
"""What pydantic adds where a key that the file chooses is wrong, not its value."""


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has one line for each mistake, the key first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_config(path: Path, *, insecure: bool = False) -> Config:
    """Read and check the file. Raises `ConfigError` with all mistakes."""
    try:
        given = read_toml(path)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (NotUtf8, NotToml) as problem:
        raise ConfigError([f"{path}: {problem}"]) from None
    return parse_config(given, insecure=insecure)


def parse_config(given: Mapping[str, Any], *, insecure: bool = False) -> Config:
    """Check what was read. Raises `ConfigError` with all mistakes."""
    given = _with_level_of_environment(given)
    problems: list[str] = []
    broken: set[int | str] = set()
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        problems = [f"{_key(problem)}: {message_of(problem, Config)}" for problem in found]
        broken = {problem["loc"][0] for problem in found}
        # The other tables are still checked in combination, so that all mistakes are reported at once.
        config = Config.model_validate({name: table for name, table in given.items() if name not in broken})
    problems += combined_mistakes(config, broken, insecure=insecure)
    if problems:
        raise ConfigError(problems)
    return config


def _with_level_of_environment(given: Mapping[str, Any]) -> Mapping[str, Any]:
    level, log = os.environ.get(LEVEL_VARIABLE, ""), given.get("log", {})
    overrides = level and isinstance(log, Mapping)
    return {**given, "log": {**log, "level": level.lower()}} if overrides else given


def _key(problem: ErrorDetails) -> str:
    location = without_tag(problem["loc"])
    if location == ("log", "level") and os.environ.get(LEVEL_VARIABLE):
        return LEVEL_VARIABLE
    if problem["type"] == "union_tag_invalid":
        location = (*location, "kind")
    parts = (part for part in location if part != KEY_ITSELF)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return key.removeprefix(".") or "the file"
