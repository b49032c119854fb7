"""Files that no parser reads: a mistake of the configuration, never the end of a broker that watches them."""

from pathlib import Path

import pytest

from broker.config.load import ConfigError, load_config
from broker.config.reloading.named_files import named_files

UNREADABLE = {
    "no TOML": ("[server", "is not TOML: "),
    "another encoding": ("[server]".encode("utf-16"), "is UTF-16; save it as UTF-8"),
    "a number that is too long": ("x = " + "1" * 5_000, "has a number with too many digits"),
    "lists that are too deep": ("x = " + "[" * 5_000, "is nested too deeply"),
    "tables that are too deep": ("x = " + "{a=" * 5_000, "is nested too deeply"),
    "keys that are too deep": ("x" + ".a" * 5_000 + " = 1", "unknown key"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("content", "problem"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_is_a_mistake_and_is_watched_on(
    content: str | bytes, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "broker.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(ConfigError) as refused:
        load_config(file)
    assert problem in refused.value.problems[0]
    assert {file} == named_files(file)
