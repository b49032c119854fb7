"""Actions of people: members and strangers follow links, and open mini-programs."""

from collections.abc import Callable, Mapping

from broker.simulator.world.corps import AppId, Corp, Corps, Member
from broker.simulator.world.people.logins import CodeKind, Logins, Visitor
from broker.simulator.world.people.mini_program import APP_ID, encrypt_data
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.shares import BusinessType, Owner, Shares
from broker.simulator.world.suites.suites import Suites

_IV_BYTES = 16


class People:
    """Log people in. `app` defaults to the world's main one."""

    def __init__(
        self,
        corps: Corps,
        shares: Shares,
        suites: Suites,
        logins: Logins,
        randomness: Randomness,
        now: Callable[[], float],
    ) -> None:
        self._corps = corps
        self._shares = shares
        self._suites = suites
        self._logins = logins
        self._randomness = randomness
        self._now = now

    def login_code(
        self,
        corpid: str,
        userid: str,
        app: AppId | None = None,
        *,
        privateinfo: bool = False,
        business_type: BusinessType | None = None,
    ) -> str:
        """Make a member follow an app's authorize link, and return the code. Raises LookupError.

        `userid` is the plain one; an unknown member is added. `business_type` chooses where the corp has
        the app through both kinds.
        """
        app = self._app(app)
        visitor = self._visitor(corpid, userid, app, business_type)
        return self._logins.add_code(CodeKind.OAUTH, app, visitor, self._now(), privateinfo=privateinfo)

    def visitor_code(self, openid: str, external_userid: str = "", app: AppId | None = None) -> str:
        """Make somebody who is not a member follow an app's authorize link, and return the code."""
        visitor = Visitor(openid=openid, external_userid=external_userid)
        return self._logins.add_code(CodeKind.OAUTH, self._app(app), visitor, self._now())

    def js_code(
        self,
        corpid: str,
        userid: str,
        app: AppId | None = None,
        *,
        business_type: BusinessType | None = None,
    ) -> str:
        """Make a member open the mini-program of an app, and return the code; otherwise as `login_code`."""
        app = self._app(app)
        visitor = self._visitor(corpid, userid, app, business_type)
        return self._logins.add_code(CodeKind.JS, app, visitor, self._now())

    def suite_login_code(
        self, suite: str, corp: str, userid: str, *, privateinfo: bool = False, parent: str = ""
    ) -> str:
        """Make a member follow a suite's link; `parent` has shared a 代开发 app with the corp.

        A corp that has not authorised a third-party app may follow its link too. Raises LookupError.
        """
        known = self._suites.get(suite)
        if known.customized:
            app = self._suites.active(suite, parent or corp).app
            return self.login_code(corp, userid, app, privateinfo=privateinfo)
        visitor = self._suite_visitor(known.suite_id, corp, userid)
        kind, now = CodeKind.OAUTH, self._now()
        return self._logins.add_code(kind, known.holder, visitor, now, privateinfo=privateinfo)

    def suite_visitor_code(self, suite: str, openid: str) -> str:
        """Make somebody who is not a member follow a suite's link. Raises LookupError."""
        return self.visitor_code(openid, app=self._suites.get(suite).holder)

    def suite_js_code(self, suite: str, corp: str, userid: str, *, parent: str = "") -> str:
        """Make a member open a suite's mini-program; otherwise as `suite_login_code`."""
        known = self._suites.get(suite)
        if known.customized:
            return self.js_code(corp, userid, self._suites.active(suite, parent or corp).app)
        visitor = self._suite_visitor(known.suite_id, corp, userid)
        return self._logins.add_code(CodeKind.JS, known.holder, visitor, self._now())

    def encrypt_data(self, corpid: str, userid: str, fields: Mapping[str, object]) -> tuple[str, str]:
        """Return encryptedData and iv as a member's mini-program sends them now. Raises LookupError."""
        watermark = {"timestamp": int(self._now()), "appid": APP_ID}
        key = self.session_key_of(corpid, userid)
        return encrypt_data(key, {**fields, "watermark": watermark}, self._randomness.randbytes(_IV_BYTES))

    def session_key_of(self, corpid: str, userid: str) -> str:
        """Return the session_key that a member's mini-program holds: the child's own, once there is one.

        Raises LookupError.
        """
        session = self._logins.latest_session(corpid, userid)
        return session.child_session_key or session.session_key

    def _app(self, app: AppId | None) -> AppId:
        return self._corps.app_id(*app) if app else self._corps.main_app

    def _visitor(self, corpid: str, userid: str, app: AppId, business_type: BusinessType | None) -> Visitor:
        corp = self._corps.get(corpid)
        owner = self._shares.owner_of(corp.corpid, app, business_type)
        return Visitor(owner, _member(corp, userid).userid)

    def _suite_visitor(self, suite_id: str, corpid: str, userid: str) -> Visitor:
        corp = self._corps.get(corpid)
        known = self._suites.find_authorization(suite_id, corp.corpid)
        app = known.app if known and known.active else AppId(corp.corpid, 0)
        return Visitor(Owner(app), _member(corp, userid).userid)


def _member(corp: Corp, userid: str) -> Member:
    if (member := corp.members.get(userid.lower())) is None:
        corp.add_member(member := Member(userid, userid))
    return member
