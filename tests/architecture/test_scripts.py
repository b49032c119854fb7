"""What Redis and SQLite run is in files of its own language, where editors and reviewers know it."""

import pytest

from tests.architecture.sources import named, own_sources


@pytest.mark.parametrize("statement", ["redis.call(", "redis.pcall(", "CREATE TABLE", "CREATE INDEX"])
def test_no_module_holds_a_script(statement: str) -> None:
    holders = [named(path) for path in own_sources() if statement in path.read_text(encoding="utf-8")]

    assert [] == holders


@pytest.mark.parametrize(("suffix", "statement"), [(".lua", "redis.call("), (".sql", "CREATE TABLE")])
def test_scripts_have_files(suffix: str, statement: str) -> None:
    folders = {path.parent for path in own_sources()}
    scripts = [path for folder in folders for path in folder.rglob(f"*{suffix}")]

    assert any(statement in path.read_text(encoding="utf-8") for path in scripts)
