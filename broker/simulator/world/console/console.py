"""The console: corps install and cancel suites, and the provider is told (授权通知事件).

A suite is named by its id or name, a corp by its plain id or by the one that the provider knows. Unless it
says otherwise, a method raises LookupError for what does not exist, ValueError for what WeCom does not allow.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Unpack

from yarl import URL

from broker.simulator.answers import Refusal
from broker.simulator.world.console.addresses import Channel
from broker.simulator.world.console.install import Door, Install
from broker.simulator.world.console.sharing import SuiteSharing
from broker.simulator.world.console.suite_events import Details, SuiteEvents
from broker.simulator.world.console.ticket_pushes import TicketPushes
from broker.simulator.world.corps import AppId, Corp, Corps
from broker.simulator.world.events.callback import Callback
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import EventKind
from broker.simulator.world.settings import CustomizedShare, OldSecretDies, Settings
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.suites.authorization import AuthMode, Authorization, Edition, SharedFrom
from broker.simulator.world.suites.codes import AuthCodePurpose
from broker.simulator.world.suites.suite import Suite
from broker.simulator.world.suites.suites import Suites
from broker.simulator.world.tokens import TokenBook

PERMISSION_SECONDS = 90 * 86400
"""How long a data permission lasts (wecom-api J)."""
_LONGEST_STATE = {"link": 128, "qr": 32}
"""wecom-api G32."""


class Console:
    """Do what admins and members do; `tickets`, `events` and `sharing` are its parts."""

    def __init__(
        self,
        *,
        suites: Suites,
        corps: Corps,
        tokens: TokenBook,
        events: SuiteEvents,
        sharing: SuiteSharing,
        settings: Settings,
        now: Callable[[], float],
    ) -> None:
        self.events = events
        self.addresses = events.addresses
        self.tickets = TicketPushes(suites, events, now)
        self._suites = suites
        self._corps = corps
        self._tokens = tokens
        self._sharing = sharing
        self._settings = settings
        self._now = now

    def app(self, suite: str, corp: str) -> AppId:
        """Return the app of a suite in a corp that has authorised it."""
        return self._suites.active(suite, corp).app

    def set_callback(self, suite: str, channel: Channel | str, callback: Callback, corp: str = "") -> None:
        """Set a callback URL of a suite; `corp` chooses one corp's 代开发 app."""
        corpid = self._corps.get(corp).corpid if corp else ""
        self.addresses.set(self._suites.get(suite), Channel(channel), callback, corpid)

    def set_system_callback(self, provider: str, callback: Callback) -> None:
        """Set the URL of a provider's system events."""
        self.addresses.set_system(self._suites.provider(provider).corp_id, callback)

    def install_by_link(self, url: str, corp: str, userid: str = "") -> Install:
        """Follow an install link (wecom-api B5), and return where it ends; no create_auth is sent."""
        query = URL(url).query
        suite = self._suites.get(query.get("suite_id", ""))
        if suite.customized:
            raise ValueError("a 代开发 template is installed by its QR code only")
        try:
            pre = self._suites.codes.pre(query.get("pre_auth_code", ""), suite.suite_id, self._now())
        except Refusal as refusal:
            raise ValueError(f"pre_auth_code: {refusal.errcode}") from None
        if pre.test_install is suite.published:
            raise ValueError(
                "set_session_info: auth_type 1 is for a suite that is not published, and only for it"
            )
        target, state = URL(query.get("redirect_uri", "")), query.get("state", "")
        if not target.host or (suite.redirect_host and target.host != suite.redirect_host):
            raise ValueError(f"redirect_uri: {target} is not on {suite.redirect_host or 'any host'}")
        _check_state("link", state)
        authorization = self._authorize(suite, self._corps.get(corp), userid)
        install = self._install(suite, authorization)
        expires_in = str(int(self._settings.auth_code_lifetime))
        more = {"auth_code": install.auth_code, "expires_in": expires_in, "state": state}
        return replace(install, redirect=str(target.update_query(more)))

    def install(
        self, suite: str, corp: str, by: Door | str | None = None, userid: str = "", state: str = ""
    ) -> Install:
        """Install a suite in a corp; the provider is told by create_auth. `state` is a QR code's."""
        known = self._suites.get(suite)
        door = Door(by or (Door.QR if known.customized else Door.MARKET))
        if known.customized and door is not Door.QR:
            raise ValueError("a 代开发 template is installed by its QR code only")
        if state and door is not Door.QR:
            raise ValueError("only a QR code has a state")
        _check_state("qr", state)
        mode = AuthMode.MEMBER if door is Door.MEMBER else AuthMode.ADMIN
        return self._tell(known, self._authorize(known, self._corps.get(corp), userid, mode), state)

    def install_by_share(
        self,
        suite: str,
        parent: str,
        children: Sequence[str],
        business_type: BusinessType = BusinessType.CORP_GROUP,
        way: CustomizedShare | str | None = None,
    ) -> list[Install]:
        """Share the parent's app with children, and push the event; return their installations.

        There are none where children get tokens through the parent's: see `CustomizedShare`.
        """
        known, sharer = self._suites.get(suite), self._suites.active(suite, parent)
        corps, way = [self._corps.get(child) for child in children], CustomizedShare(way) if way else None
        installs, shared_from = self._sharing.installs(known, way), SharedFrom(sharer.corpid, business_type)
        made = []
        for corp in corps:
            if installs:
                authorization = self._suites.authorize(known, corp, shared_from=shared_from)
                made.append(self._tell(known, authorization))
            self._sharing.enter(known, sharer.app, corp, business_type)
        self._sharing.tell(known, sharer, business_type)
        return made

    def unshare(
        self,
        suite: str,
        parent: str,
        children: Sequence[str],
        business_type: BusinessType = BusinessType.CORP_GROUP,
    ) -> None:
        """End shares; what they installed is cancelled."""
        known, sharer = self._suites.get(suite), self._suites.active(suite, parent)
        corps = [self._corps.get(child).corpid for child in children]
        for share in self._sharing.listed(sharer.app, business_type):
            if share.child.corpid in corps:
                self._sharing.end(sharer.app, share.child, business_type)
        for corpid in corps:
            found = self._suites.find_authorization(known.suite_id, corpid)
            if found and found.active and found.shared_from == SharedFrom(sharer.corpid, business_type):
                self.cancel(suite, corpid)
        self._sharing.tell(known, sharer, business_type)

    def cancel(self, suite: str, corp: str) -> None:
        """End an authorisation, its tokens and its shares; the provider is told by cancel_auth."""
        authorization = self._suites.active(suite, corp)
        self._tokens.kill_app(authorization.app, self._now())
        self._sharing.end_all(authorization.app)
        self._suites.cancel(authorization)
        self.send(suite, EventKind.CANCEL_AUTH, corp)

    def change(self, suite: str, corp: str) -> None:
        """Tell the provider by change_auth that something about an authorisation has changed."""
        self._suites.active(suite, corp)
        self.send(suite, EventKind.CHANGE_AUTH, corp)

    def reset(self, suite: str, corp: str) -> Install:
        """Press 重新获取secret of a 代开发 app; the provider is told by reset_permanent_code."""
        known, authorization = self._suites.get(suite), self._suites.active(suite, corp)
        if not known.customized:
            raise ValueError("only the secret of a 代开发 app can be reset")
        self._suites.renew_code(authorization)
        if self._settings.old_secret_dies is OldSecretDies.AT_RESET:
            self._suites.forget_old_code(authorization)
        return self._tell(known, authorization, purpose=AuthCodePurpose.RESET)

    def change_edition(self, suite: str, corp: str, edition: Edition) -> None:
        """Change what a corp has paid for; change_editon is sent for it and each child of its share."""
        known, payer = self._suites.get(suite), self._suites.active(suite, corp)
        if not known.paid:
            raise ValueError(f"{suite} has no editions")
        for authorization in self._suites.authorizations(known.suite_id):
            shared_from = authorization.shared_from
            of_child = shared_from is not None and shared_from.corpid == payer.corpid
            if authorization.active and (authorization is payer or of_child):
                authorization.edition = edition
                self.send(suite, EventKind.CHANGE_EDITON, authorization.corpid)

    def authorize_data(
        self, suite: str, corp: str, permission: str, seconds: float | None = PERMISSION_SECONDS
    ) -> None:
        """Let an admin grant a permission for a time, or for good; the event is auth_data_permission."""
        ends_at = None if seconds is None else self._now() + seconds
        self._suites.active(suite, corp).permissions[permission] = ends_at
        self.send(suite, EventKind.AUTH_DATA_PERMISSION, corp, detail=permission)

    def remind_data(self, suite: str, corp: str, permission: str) -> None:
        """Tell the provider that a permission is about to end: expire_remind_data_permission."""
        self._suites.active(suite, corp)
        self.send(suite, EventKind.EXPIRE_REMIND_DATA_PERMISSION, corp, detail=permission)

    def end_permission(self, suite: str, corp: str, permission: str) -> None:
        """Let a permission end now; the provider is told by change_auth."""
        permissions = self._suites.active(suite, corp).permissions
        if permission not in permissions:
            raise LookupError(f"{corp} never granted {permission}")
        permissions[permission] = self._now()
        self.send(suite, EventKind.CHANGE_AUTH, corp)

    def new_corpid(self, provider: str, corp: str) -> str:
        """Let a corp that cancelled everything come back under another id (wecom-api B17); return it."""
        return self._suites.rename(self._suites.provider(provider), self._corps.get(corp))

    def event(
        self,
        suite: str,
        kind: EventKind | str,
        corp: str = "",
        *,
        parent: str = "",
        **details: Unpack[Details],
    ) -> Event:
        """Return a new event of a suite; `parent` shares its app with the corp where it happens."""
        known, found, kind = self._suites.get(suite), self._find(corp), EventKind(kind)
        if not parent or found is None:
            return self.events.event(known, kind, self._now(), found, **details)
        sharer = self.app(suite, parent)
        details = {"agentid": self._sharing.child(sharer, found.corpid).agentid, **details}
        return self.events.event(known, kind, self._now(), found, parent=sharer, **details)

    def callback(self, suite: str, kind: EventKind | str, corp: str = "") -> Callback | None:
        """Find where events of a kind go, for a corp that authorised the suite."""
        return self.events.callback(self._suites.get(suite), EventKind(kind), self._find(corp))

    def send(
        self,
        suite: str,
        kind: EventKind | str,
        corp: str = "",
        *,
        parent: str = "",
        **details: Unpack[Details],
    ) -> Event:
        """Queue any event of a suite, made by `event`."""
        event = self.event(suite, kind, corp, parent=parent, **details)
        return self.events.push(self.callback(suite, kind, parent or corp), event)

    def system_event(
        self, provider: str, kind: EventKind | str, corp: str = "", **details: Unpack[Details]
    ) -> Event:
        """Return a new system event of a provider, perhaps about a corp."""
        known = self._suites.provider(provider)
        return self.events.system_event(known, EventKind(kind), self._now(), self._find(corp), **details)

    def send_system(
        self, provider: str, kind: EventKind | str, corp: str = "", **details: Unpack[Details]
    ) -> Event:
        """Queue any system event of a provider."""
        event = self.system_event(provider, kind, corp, **details)
        return self.events.push(self.addresses.system(event.app.corpid), event)

    def _find(self, corp: str) -> Corp | None:
        return self._corps.get(corp) if corp else None

    def _authorize(
        self, suite: Suite, corp: Corp, userid: str, auth_mode: AuthMode = AuthMode.ADMIN
    ) -> Authorization:
        first = next((member.userid for member in corp.members.values()), "")
        return self._suites.authorize(suite, corp, auth_mode=auth_mode, installer=userid or first)

    def _install(
        self,
        suite: Suite,
        authorization: Authorization,
        state: str = "",
        purpose: AuthCodePurpose = AuthCodePurpose.INSTALL,
    ) -> Install:
        code = self._suites.codes.add(purpose, authorization, state, self._now())
        return Install(code.value, self._suites.provider_of(suite).corpid(authorization.corpid))

    def _tell(
        self,
        suite: Suite,
        authorization: Authorization,
        state: str = "",
        purpose: AuthCodePurpose = AuthCodePurpose.INSTALL,
    ) -> Install:
        install = self._install(suite, authorization, state, purpose)
        reset = purpose is AuthCodePurpose.RESET
        kind = EventKind.RESET_PERMANENT_CODE if reset else EventKind.CREATE_AUTH
        self.send(suite.suite_id, kind, code=install.auth_code, state=state)
        return install


def _check_state(door: str, state: str) -> None:
    if len(state) > _LONGEST_STATE[door] or (state and not (state.isascii() and state.isalnum())):
        raise ValueError(f"state: 84025, letters and digits, at most {_LONGEST_STATE[door]}")
