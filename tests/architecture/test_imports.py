"""No modules import each other in a circle: each can be read after those that it imports."""

from pathlib import Path

import pytest

from tests.architecture.imports import circles, import_graph
from tests.architecture.sources import PYTHON_CLIENT, ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    "package", [ROOT / "broker", PYTHON_CLIENT / "wecom_broker"], ids=lambda path: path.name
)
def test_no_modules_import_each_other_in_a_circle(package: Path) -> None:
    graph = import_graph(package)

    assert len(graph) > 20
    assert [] == circles(graph)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "from house.kitchen import cook",
        "kitchen.py": "import house.cellar\ndef cook():\n    from house import garden",
        "garden/__init__.py": "from .well import water",
        "garden/well.py": "from .. import attic\nfrom ..attic import box",
        "attic.py": "import json\nif TYPE_CHECKING:\n    from house.garden import well",
        "cellar.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "house"


def test_an_import_counts_wherever_it_stands(package: Path) -> None:
    assert {
        "house": {"house.kitchen"},
        "house.kitchen": {"house.cellar", "house.garden"},
        "house.garden": {"house.garden.well"},
        "house.garden.well": {"house.attic"},
        "house.attic": {"house.garden.well"},
        "house.cellar": set(),
    } == import_graph(package)


def test_a_circle_is_found(package: Path) -> None:
    assert [["house.attic", "house.garden.well"]] == circles(import_graph(package))
