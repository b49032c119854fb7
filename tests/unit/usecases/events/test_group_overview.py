"""Whose groups an operator can ask for."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from broker.domain.errors import BrokerError, InvalidRequest, UnknownApp
from broker.domain.suites.catalog import Catalog
from broker.usecases.events.overview import GroupOverview
from tests.kit.memory.fake_suites import CRM
from tests.kit.memory.feed_world import APP, FeedWorld

CATALOG = Catalog({APP: replace(CRM, name=APP), "hr": replace(CRM, name="hr")}, {}, {})


@pytest.fixture
async def overview() -> AsyncIterator[GroupOverview]:
    async with FeedWorld() as world:
        yield GroupOverview(CATALOG, [APP], (await world.start()).log)


@pytest.mark.parametrize(("app", "kind"), [("hr", InvalidRequest), ("nosuch", UnknownApp)])
async def test_an_app_without_a_callback_has_none_and_one_that_is_not_configured_is_unknown(
    overview: GroupOverview, app: str, kind: type[BrokerError]
) -> None:
    with pytest.raises(kind):
        await overview.list(app)
    with pytest.raises(kind):
        await overview.delete(app, "orders/work")
    assert [] == await overview.list(APP)
