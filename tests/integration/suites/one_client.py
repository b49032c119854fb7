"""A service that uses an app in a corp. It knows names and corp ids, and nothing of kinds of apps."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from wecom_broker import (
    AccessToken,
    AppShareSync,
    Event,
    PageSignature,
    Session,
    ShareChangeType,
    User,
    UserProfile,
)

PAGE = "https://app.example.com/shifts?week=9#top"
BACK = "https://app.example.com/signed-in"
DEAD = 40014
SAID = {"phoneNumber": "13800000000"}
RAW = '{"nickName":"lisi"}'
CHECKED = "enter_agent"
"""The event that the service waits for."""


@dataclass(frozen=True)
class Place:
    """An app in a corp, as whoever runs the service writes it into a configuration file."""

    app: str
    corp: str
    login_corp: str = ""
    """Whose link users follow; only a 代开发 app has one for each corp."""
    parent: str = ""
    """Who shares the app, for suites, which have many parents."""


class Outside(Protocol):
    """What browsers, mini-programs and WeCom do meanwhile."""

    async def page_works(self, signed: PageSignature, url: str) -> Mapping[str, str]:
        """Return what WeCom says of each of both signatures of the page."""

    def follow(self, link: str) -> str:
        """Let the user follow the link, and return the code that comes back."""

    def open_mini_program(self) -> str:
        """Return the js_code that the user's mini-program sends."""

    def encrypt(self, fields: Mapping[str, object]) -> tuple[str, str]:
        """Return encryptedData and iv from the user's mini-program."""

    def sign(self, raw_data: str) -> str:
        """Return the signature from the user's mini-program."""

    def kill(self, token: AccessToken) -> None:
        """Let WeCom drop a token early."""

    async def enter(self) -> None:
        """Let a member open the app, of which WeCom tells the callback URL."""


@dataclass(frozen=True)
class Seen:
    """What the service got: of the same types, whoever installed the app."""

    token: AccessToken
    watched: list[AccessToken]
    replaced: AccessToken
    pages: Mapping[str, str]
    user: User
    profile: UserProfile | None
    """None where WeCom gave no user_ticket: of a child's member it gives none."""
    session: Session
    decrypted: bytes
    signature_fits: bool
    session_key: str
    member: Mapping[str, Any]
    agent: Mapping[str, Any]
    healed: int
    """The errcode of a call whose token had died."""
    shares: list[str]
    watched_shares: list[str]
    synced: AppShareSync
    event: Event


async def use(broker: Any, place: Place, outside: Outside) -> Seen:
    """Do all that services do. `broker` has the methods of `wecom_broker.Broker`."""
    app, corp, login_corp, parent = place.app, place.corp, place.login_corp, place.parent

    synced = await broker.sync_app_shares(app, parent=parent)
    shares = [share.corp_id async for share in broker.app_shares(app, parent=parent)]
    watched_shares: list[str] = []
    async with aclosing(broker.watch_app_shares(app, parent=parent)) as changes:
        async for change in changes:
            if change.change_type is ShareChangeType.SNAPSHOT:
                watched_shares += [share.corp_id for share in change.shares]
            if change.snapshot_complete:
                break

    async with aclosing(broker.watch_access_token(app, corp)) as watch:
        watched = [await anext(watch)]
        token = await broker.access_token(app, corp)
        outside.kill(token)
        replaced = await broker.rejected(token, DEAD)
        watched.append(await anext(watch))

    pages = await outside.page_works(await broker.sign_page(app, PAGE, corp), PAGE)

    link = await broker.authorize_url(app, BACK, scope="private_info", corp=login_corp)
    user = await broker.user_from_code(app, outside.follow(link.url), corp=login_corp)
    profile = None
    if user.user_ticket:
        profile = await broker.user_profile(app, user.user_ticket, corp=login_corp)

    session = await broker.mini_program_login(app, outside.open_mini_program(), corp=login_corp)
    decrypted = await broker.decrypt_data(session, *outside.encrypt(SAID))
    signature_fits = await broker.verify_signature(session, RAW, outside.sign(RAW))
    session_key = await broker.session_key(session)
    await broker.delete_session(session)

    member = await broker.call(app, "/cgi-bin/user/get", corp=corp, query={"userid": user.user_id})
    agent = await broker.call(app, "/cgi-bin/agent/get", corp=corp, query={"agentid": token.agent_id})
    outside.kill(replaced)
    healed = await broker.call(app, "/cgi-bin/user/get", corp=corp, query={"userid": user.user_id})

    await outside.enter()
    async with broker.events(f"service-of-{corp}", apps=[app], event_types=[CHECKED]) as events:
        async for event in events:
            if event.corp_id == corp:
                break

    return Seen(
        token=token,
        watched=watched,
        replaced=replaced,
        pages=pages,
        user=user,
        profile=profile,
        session=session,
        decrypted=decrypted,
        signature_fits=signature_fits,
        session_key=session_key,
        member=member.json(),
        agent=agent.json(),
        healed=healed.errcode,
        shares=shares,
        watched_shares=watched_shares,
        synced=synced,
        event=event,
    )
