"""Published test vectors of the WeCom protocol, by kind."""

import json
from pathlib import Path
from typing import Any

Vector = dict[str, Any]


def vectors(kind: str) -> dict[str, Vector]:
    """Return the vectors of that kind by id; there is at least one."""
    published = json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))
    found = {vector["id"]: vector for vector in published["vectors"] if vector["kind"] == kind}
    if not found:
        raise LookupError(f"there is no vector of kind {kind}")
    return found


def cases(kind: str) -> dict[str, Any]:
    """Return the arguments of `pytest.mark.parametrize` for a test that takes a `vector`."""
    found = vectors(kind)
    return {"argnames": "vector", "argvalues": list(found.values()), "ids": list(found)}
