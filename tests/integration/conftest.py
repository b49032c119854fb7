"""Real processes for the facts of issue 2, and the figures that the tests show at their end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kit.patience import wait_for_stores
from tests.kit.processes.fleet import Fleet, running_fleet

StartFleet = Callable[..., Fleet]
Figures = Callable[..., None]

_APPS = [f"app-{number}" for number in range(60)]
_UNUSED = iter(_APPS)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_stores(monkeypatch)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Show figures by name in the summary of the run."""

    def show(**values: object) -> None:
        words = ", ".join(f"{name.replace('_', ' ')} {_rounded(value)}" for name, value in values.items())
        request.node.user_properties.append(("figures", f"{request.node.originalname}: {words}"))

    return show


@pytest.fixture(scope="session")
def _shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(tmp_path_factory.mktemp("fleet"), 3, children=95, apps=_APPS, patient=True) as fleet:
        yield fleet


@pytest.fixture
def fleet(_shared_fleet: Fleet) -> Iterator[Fleet]:
    """Three replicas, one Redis and 100 children, shared by tests; each leaves it whole."""
    _shared_fleet.wecom.forget_calls()
    yield _shared_fleet
    _shared_fleet.mend()


@pytest.fixture
def app(fleet: Fleet) -> str:
    """An app of the shared fleet that nobody has asked for yet."""
    assert fleet
    return next(_UNUSED)


@pytest.fixture
def start_fleet(tmp_path: Path) -> Iterator[StartFleet]:
    """Start a simulator, a Redis and brokers; see `running_fleet`."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(running_fleet(tmp_path, *args, **options))


def _rounded(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
