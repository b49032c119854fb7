"""F12: one caller sends 1,000 bogus codes while WeCom is slow; another one asks for cold tokens."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import identity_service_pb2 as identity_pb
from wecom_broker.v1 import identity_service_pb2_grpc as identity_grpc

from tests.integration.attacks.ground import Ground
from tests.integration.attacks.place import ATTACKER, Place, bearer
from tests.integration.attacks.trial import trial, tried
from tests.integration.conftest import Figures
from tests.kit.processes.fleet import APP

AT_ONCE = 1000
SLOW_SECONDS = 5.0
USER, PROFILE = "/cgi-bin/auth/getuserinfo", "/cgi-bin/auth/getuserdetail"
LONGEST_SECONDS = 4.0
"""How long a cold token, a call of WeCom and a probe may take, though codes wait for five seconds."""
AGAIN_SECONDS = 0.5
CREDENTIALS: Any = (("authorization", f"Bearer {bearer(ATTACKER)}"),)
Ask = Callable[[identity_grpc.IdentityServiceStub, int], Any]


def exchange(stub: identity_grpc.IdentityServiceStub, number: int) -> Any:
    """Send a code that WeCom never made."""
    request = identity_pb.ExchangeAuthCodeRequest(app=APP, code=f"bogus-{number}")
    return stub.ExchangeAuthCode(request, metadata=CREDENTIALS, timeout=60)


def read_profile(stub: identity_grpc.IdentityServiceStub, number: int) -> Any:
    """Send a user_ticket that WeCom never made."""
    request = identity_pb.GetUserProfileRequest(app=APP, user_ticket=f"bogus-{number}")
    return stub.GetUserProfile(request, metadata=CREDENTIALS, timeout=60)


async def send(ask: Ask, place: Place, done: Counter[str]) -> None:
    """Keep so many of them under way, each another one."""
    numbers = itertools.count()

    async def one(stub: identity_grpc.IdentityServiceStub) -> None:
        while True:
            done["codes"] += 1
            with suppress(grpc.aio.AioRpcError):
                await ask(stub, next(numbers))
            await asyncio.sleep(AGAIN_SECONDS)

    async with grpc.aio.insecure_channel(place.address) as channel, asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(one(identity_grpc.IdentityServiceStub(channel)))


ATTACKS = {"codes": (partial(send, exchange), USER), "user tickets": (partial(send, read_profile), PROFILE)}


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_bogus_codes_delay_no_cold_token(ground: Ground, figures: Figures, attack: str) -> None:
    run, path = ATTACKS[attack]
    ground.wecom.fault("delay", path, seconds=SLOW_SECONDS)
    try:
        verdict = trial(ground, run)
    finally:
        ground.wecom.mend()

    figures(attack=attack, **verdict.figures())
    assert verdict.done
    # A code is sent once.
    verdict.check({path: verdict.done["codes"]})
    assert verdict.longest_other <= LONGEST_SECONDS
