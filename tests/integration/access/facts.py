"""What the requests of the matrix are about: sessions, codes, files and callbacks of a simulated WeCom."""

import secrets
import time
from dataclasses import dataclass

from wecom_broker import Broker

from broker.simulator import EventKind
from broker.simulator.callbacks.envelope import sealed_post, verification
from broker.simulator.callbacks.sender import send_event
from broker.simulator.crypto import RANDOM_BYTES
from broker.simulator.demo import CALLBACK_KEYS, PARENT
from broker.simulator.provider_demo import INSTALLER
from broker.simulator.provider_demo import PARENT as CLIENT
from broker.simulator.world import World
from broker.simulator.world.events.callback import Address
from broker.simulator.world.people.mini_program import sign_data
from tests.integration.suites.three_kinds import BY_TOKEN, CRM, MARKET, OWNED, Kinds, three_kinds_world
from tests.kit.callbacks.endpoint import text

OWN = PARENT.corpid
"""The self-built app's own corp; OWNED is one of its children."""
OTHER_CHILD = "ww1child000000002"
MEMBER, OWN_MEMBER = "lisi", "zhangsan"
URL = "https://app.example.com/"
RAW_DATA = '{"nickName":"lisi"}'
FILE = bytes(4 << 20)
"""More than gRPC keeps on its way: who stops reading keeps the stream open."""
_WORLD = three_kinds_world()
CLIENT_ID, OTHER_CLIENT_ID = (_WORLD.suites.corpid(MARKET, corp) for corp in (CLIENT, BY_TOKEN))
"""The ids by which the provider knows the corp that installed the suite, and another one."""


@dataclass(frozen=True)
class Facts:
    """Whatever a request needs, made when it is asked for."""

    kinds: Kinds
    owner: Broker
    """A client that may do everything."""
    media_id: str

    @classmethod
    async def of(cls, kinds: Kinds, owner: Broker) -> "Facts":
        """Return them once WeCom has sent events of two children, one after the other."""
        for corp in (OWNED, OTHER_CHILD):
            [delivery] = await send_event(kinds.world, EventKind.ENTER_AGENT, corp, MEMBER)
            assert delivery.accepted
        uploaded = await owner.upload_media(CRM, "file", "a", FILE, OWNED)
        return cls(kinds, owner, uploaded.media_id)

    @property
    def world(self) -> World:
        """Return WeCom."""
        return self.kinds.world

    async def generation(self, app: str, corp_id: str = "") -> int:
        """Return the generation of the token that is valid now."""
        return (await self.owner.access_token(app, corp_id)).generation

    async def ticket_generation(self) -> int:
        """Return the generation of the ticket that is valid now."""
        return (await self.owner.sign_page(CRM, URL, OWNED)).config.generation

    def code(self) -> str:
        """Return the code of a member of the child who followed the link."""
        return self.world.people.login_code(OWNED, MEMBER)

    async def user_ticket(self) -> str:
        """Return the ticket of a member of the app's own corp."""
        code = self.world.people.login_code(OWN, OWN_MEMBER, privateinfo=True)
        return (await self.owner.user_from_code(CRM, code)).user_ticket

    def js_code(self) -> str:
        """Return the code of the mini-program of a member of the child."""
        return self.world.people.js_code(OWNED, MEMBER)

    async def session_id(self) -> str:
        """Return a session of a member of the child."""
        return (await self.owner.mini_program_login(CRM, self.js_code())).session_id

    async def parents_session(self) -> tuple[str, str]:
        """Return the user_id and the session_key that the parent has of a member of the child."""
        session = await self.owner.mini_program_login(CRM, self.js_code())
        return session.source_user_id, self.world.logins.latest_session(OWNED, MEMBER).session_key

    def encrypted(self) -> tuple[str, str]:
        """Return what the member's mini-program encrypted, and its iv."""
        return self.world.people.encrypt_data(OWNED, MEMBER, {"phoneNumber": "13800000000"})

    def signature(self) -> str:
        """Return the signature that the member's mini-program made of RAW_DATA."""
        return sign_data(self.world.people.session_key_of(OWNED, MEMBER), RAW_DATA)

    def verification(self) -> dict[str, str]:
        """Return the query by which WeCom verifies a callback URL."""
        return verification(CALLBACK_KEYS, "1616140317555161061", OWN, **_fresh())

    def envelope(self) -> dict[str, object]:
        """Return a callback of the child."""
        sent = sealed_post(CALLBACK_KEYS, text(OWNED), Address(OWN, OWN, str(PARENT.agentid)), **_fresh())
        return {**sent.query, "body": sent.body}

    async def auth_code(self) -> str:
        """Return the code with which the client's administrator comes back from an install link."""
        link = await self.owner.install_url(MARKET, URL)
        return self.world.console.install_by_link(link.url, CLIENT, INSTALLER).auth_code


def _fresh() -> dict[str, object]:
    nonce = secrets.token_hex(8)
    return {"timestamp": str(int(time.time())), "nonce": nonce, "random": secrets.token_bytes(RANDOM_BYTES)}
