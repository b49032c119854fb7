"""The ground of attacks: in `make attacks` one for each module, in `make test` one for several."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.attacks.ground import STRICT, Ground, running_ground


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    return "module" if STRICT else "session"


@pytest.fixture(scope=_scope)
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A broker, for all attacks in turn."""
    with running_ground(tmp_path_factory.mktemp("ground")) as ground:
        yield ground
