"""What callers ask for at will takes no slot of the broker itself, and waits in no endless queue."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from broker.adapters.wecom.client import CALLS_AT_ONCE, MOST_AT_WILL, MOST_WAITING, WecomClient
from broker.adapters.wecom.suites.authorizations import AuthorizationEndpoints
from broker.adapters.wecom.users import UserEndpoints
from broker.domain.credentials import Credential
from broker.domain.errors import WecomUnavailable
from broker.domain.secret import Secret
from broker.simulator import Hang, World
from tests.kit.processes.fleet import until
from tests.unit.wecom_http.recorders import Surroundings, app
from tests.unit.wecom_http.suites import SUITE_TOKEN

CODE = Secret("the-login-code-itself")
Ask = Callable[[WecomClient, Credential], Awaitable[object]]
AT_WILL: dict[str, Ask] = {
    "/cgi-bin/auth/getuserinfo": lambda client, token: UserEndpoints(client).exchange_auth_code(token, CODE),
    "/cgi-bin/auth/getuserdetail": lambda client, token: UserEndpoints(client).fetch_profile(token, CODE),
    "/cgi-bin/miniprogram/jscode2session": lambda client, token: UserEndpoints(client).exchange_login_code(
        token, CODE
    ),
    "/cgi-bin/miniprogram/transfer_session": lambda client, token: UserEndpoints(client).transfer_session(
        token, "lisi", CODE
    ),
    "/cgi-bin/service/get_pre_auth_code": lambda client, _: AuthorizationEndpoints(
        client
    ).fetch_pre_auth_code(SUITE_TOKEN),
    "/cgi-bin/service/set_session_info": lambda client, _: AuthorizationEndpoints(client).set_session_info(
        SUITE_TOKEN, CODE, test_install=True
    ),
}


@pytest.mark.parametrize("endpoint", AT_WILL)
async def test_tokens_are_fetched_while_what_callers_ask_for_hangs(
    url: str, around: Surroundings, world: World, parent: Credential, endpoint: str
) -> None:
    world.faults.add(endpoint, Hang(), times=None)
    async with around.wecom(url) as wecom:
        asked = [
            asyncio.ensure_future(AT_WILL[endpoint](wecom.client, parent)) for _ in range(2 * CALLS_AT_ONCE)
        ]
        await until(lambda: world.log.in_flight(endpoint) > CALLS_AT_ONCE)

        assert (await asyncio.wait_for(wecom.fetch_app_token(app()), 3)).value
        for each in asked:
            each.cancel()
        await asyncio.wait(asked)


async def test_more_than_can_wait_are_refused_before_their_code_is_sent(
    url: str, around: Surroundings, world: World, parent: Credential
) -> None:
    endpoint = "/cgi-bin/auth/getuserinfo"
    world.faults.add(endpoint, Hang(), times=None)
    async with around.wecom(url) as wecom:
        asked = [
            asyncio.ensure_future(AT_WILL[endpoint](wecom.client, parent))
            for _ in range(MOST_AT_WILL + MOST_WAITING)
        ]
        await until(lambda: world.log.in_flight(endpoint) == MOST_AT_WILL)
        with pytest.raises(WecomUnavailable) as refused:
            await AT_WILL[endpoint](wecom.client, parent)
        assert refused.value.code_unread
        assert refused.value.retry_after

        asked.pop().cancel()
        await asyncio.sleep(0)
        one_more = asyncio.ensure_future(AT_WILL[endpoint](wecom.client, parent))
        await asyncio.sleep(0.1)
        assert not one_more.done(), "it waits in the place that one left"
        for each in (*asked, one_more):
            each.cancel()
        await asyncio.wait([*asked, one_more])
