"""A file is one noun: nobody has to read more than 400 lines at once."""

from tests.architecture.sources import named, own_sources

LONGEST = 400


def test_no_file_is_too_long() -> None:
    lines = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in own_sources()}

    assert lines
    assert {} == {name: count for name, count in lines.items() if count > LONGEST}
