"""A file is one noun: nobody has to read more than 400 lines at once, and mostly it is far less."""

import statistics

from tests.architecture.sources import named, own_sources

LONGEST = 400
MEDIAN = 100


def lengths() -> dict[str, int]:
    return {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in own_sources()}


def test_no_file_is_too_long() -> None:
    assert lengths()
    assert {} == {name: count for name, count in lengths().items() if count > LONGEST}


def test_most_files_are_short() -> None:
    assert statistics.median(lengths().values()) <= MEDIAN
