"""Actions of people: members and strangers follow links, and open mini-programs."""

from collections.abc import Callable, Mapping

from broker.simulator.world.corps import AppId, Corps, Member
from broker.simulator.world.people.logins import CodeKind, Logins, Visitor
from broker.simulator.world.people.mini_program import APP_ID, encrypt_data
from broker.simulator.world.randomness import Randomness
from broker.simulator.world.shares import BusinessType, Shares

_IV_BYTES = 16


class People:
    """Log people in. `app` defaults to the world's main one."""

    def __init__(
        self,
        corps: Corps,
        shares: Shares,
        logins: Logins,
        randomness: Randomness,
        now: Callable[[], float],
    ) -> None:
        self._corps = corps
        self._shares = shares
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
        app = app or self._corps.main_app
        visitor = self._visitor(corpid, userid, app, business_type)
        return self._logins.add_code(CodeKind.OAUTH, app, visitor, self._now(), privateinfo=privateinfo)

    def visitor_code(self, openid: str, external_userid: str = "", app: AppId | None = None) -> str:
        """Make somebody who is not a member follow an app's authorize link, and return the code."""
        visitor = Visitor(openid=openid, external_userid=external_userid)
        return self._logins.add_code(CodeKind.OAUTH, app or self._corps.main_app, visitor, self._now())

    def js_code(
        self,
        corpid: str,
        userid: str,
        app: AppId | None = None,
        *,
        business_type: BusinessType | None = None,
    ) -> str:
        """Make a member open the mini-program of an app, and return the code; otherwise as `login_code`."""
        app = app or self._corps.main_app
        visitor = self._visitor(corpid, userid, app, business_type)
        return self._logins.add_code(CodeKind.JS, app, visitor, self._now())

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

    def _visitor(self, corpid: str, userid: str, app: AppId, business_type: BusinessType | None) -> Visitor:
        corp = self._corps.get(corpid)
        member = corp.members.get(userid.lower())
        if member is None:
            corp.add_member(member := Member(userid, userid))
        return Visitor(self._shares.owner_of(corp.corpid, app, business_type), member.userid)
