"""The repository's own files, as the tests of its architecture read them."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
PYTHON_CLIENT = ROOT / "clients" / "python"
GENERATED = PYTHON_CLIENT / "wecom_broker" / "v1"


def own_sources() -> Iterator[Path]:
    """Yield the files in broker/ and clients/ that people write."""
    for folder in (ROOT / "broker", PYTHON_CLIENT / "wecom_broker"):
        yield from (path for path in sorted(folder.rglob("*.py")) if GENERATED not in path.parents)


def named(path: Path) -> str:
    """Return the file's name as one would type it."""
    return path.relative_to(ROOT).as_posix()
