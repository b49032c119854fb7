"""What is pushed has the shape of the samples in docs/wecom-api/callbacks.md."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from broker.simulator import EventKind, ShareCdata, World
from broker.simulator import provider_demo as demo
from broker.simulator.world.events.kinds import COMMANDS, SYSTEM
from tests.simulator.suites.acme import PARENT
from tests.simulator.suites.told import Told

PAGE = Path(__file__).parents[3] / "docs" / "wecom-api" / "callbacks.md"
SAMPLES = re.findall(r"^<xml>.+</xml>$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
KINDS = {
    kind.wire_name: kind
    for kind in (*COMMANDS, *SYSTEM, EventKind.CHANGE_APP_ADMIN, EventKind.UNLICENSED_NOTIFY)
    if kind not in (EventKind.SUITE_BATCH_JOB_RESULT, EventKind.PROVIDER_BATCH_JOB_RESULT)
}
SHAPED = [
    (name, sample)
    for sample in SAMPLES
    if (name := "".join(re.findall(r"<(?:InfoType|Event)>\s*<!\[CDATA\[(\w+)\]\]>", sample)[:1])) in KINDS
]


def shape(message: str) -> list[tuple[str, bool]]:
    """Return each element in its order, and whether its text stands in a CDATA section."""
    cdata = {match[1] for match in re.finditer(r"<(\w+)>\s*<?!\[CDATA\[", message)}
    return [(part.tag, part.tag in cdata) for part in ET.fromstring(message).iter()]


def test_there_are_samples() -> None:
    assert len(SHAPED) > 15


@pytest.mark.parametrize(("name", "sample"), SHAPED, ids=[name for name, _ in SHAPED])
async def test_a_message_is_written_as_the_sample(told: Told, name: str, sample: str) -> None:
    world, kind = told.world, KINDS[name]
    world.settings.share_cdata = ShareCdata.WITHOUT_ENDS
    world.console.install("market", PARENT)
    await told.all()
    if kind in SYSTEM:
        world.console.send_system("acme", kind, PARENT)
    else:
        world.console.send("market", kind, PARENT)
    got = await told.one()

    assert shape(sample) == shape(got.message.decode())
    path = "acme" if kind in SYSTEM else "market" if kind in COMMANDS else "market/data/"
    assert got.path.startswith(f"/callback/{path}")


@pytest.mark.parametrize("kind", sorted(SYSTEM))
async def test_system_events_are_the_providers(told: Told, kind: EventKind) -> None:
    told.world.console.install("market", PARENT)
    await told.all()
    told.world.console.send_system("acme", kind, PARENT)
    got = await told.one()

    assert ("/callback/acme", demo.PROVIDER, demo.PROVIDER) == (got.path, got.receive_id, got.to_user_name)
    assert demo.PROVIDER == got.text("ServiceCorpId")
    assert told.world.suites.corpid("market", PARENT) == got.text("AuthCorpId")


async def test_data_events_are_sealed_for_the_corp_as_the_provider_knows_it(told: Told) -> None:
    world = told.world
    world.console.install("market", PARENT)
    await told.all()
    world.console.send("market", "text", PARENT, text="hi")
    got, known = await told.one(), world.suites.corpid("market", PARENT)

    agentid = str(world.console.app("market", PARENT).agentid)
    assert f"/callback/market/data/{known}" == got.path
    assert (known, known, agentid) == (got.receive_id, got.to_user_name, got.agent_id)
    assert (known, "hi", agentid) == (got.text("ToUserName"), got.text("Content"), got.text("AgentID"))
    assert world.suites.provider("acme").userid(PARENT, "zhangsan") == got.text("FromUserName")


def test_an_event_goes_where_its_kind_belongs(world: World) -> None:
    with pytest.raises(ValueError, match="is a provider's"):
        world.console.send("market", "auto_activate", PARENT)
    with pytest.raises(ValueError, match="no system event"):
        world.console.send_system("acme", "create_auth")
    with pytest.raises(ValueError, match="needs a corp"):
        world.console.send("market", "text")
