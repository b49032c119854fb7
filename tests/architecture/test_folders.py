"""A folder is a list that one can keep in mind."""

from collections import Counter

from tests.architecture.sources import ROOT, own_sources

MOST = 14


def test_no_folder_holds_too_many_modules() -> None:
    modules = Counter(path.parent for path in own_sources() if path.name != "__init__.py")

    assert modules
    assert {} == {
        folder.relative_to(ROOT).as_posix(): count for folder, count in modules.items() if count > MOST
    }
