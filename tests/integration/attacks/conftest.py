"""The ground of a module's attacks."""

from collections.abc import Iterator

import pytest

from tests.integration.attacks.place import Ground, running_ground


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A broker and its twin, for all attacks of a module in turn."""
    with running_ground(tmp_path_factory.mktemp("ground")) as ground:
        yield ground
