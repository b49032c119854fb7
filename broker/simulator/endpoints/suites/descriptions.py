"""How WeCom describes an authorisation: the corp, its app, and who installed it (wecom-api B6, B7)."""

from broker.simulator.answers import Answer
from broker.simulator.world import World
from broker.simulator.world.suites.authorization import AuthMode, Authorization, Edition

_LOGO = "https://p.qpic.cn/simulated"


def corp_in_short(world: World, authorization: Authorization) -> Answer:
    """Describe the corp as the second version of the exchange does."""
    corp = world.corps.get(authorization.corpid)
    return {"corpid": world.suites.corpid(authorization.suite_id, corp.corpid), "corp_name": corp.name}


def corp_in_full(world: World, authorization: Authorization) -> Answer:
    """Describe the corp; after 成员授权 what an admin would have to allow is empty."""
    by_admin = authorization.auth_mode is AuthMode.ADMIN
    return {
        **corp_in_short(world, authorization),
        "corp_type": "verified",
        "corp_square_logo_url": _LOGO,
        "corp_user_max": 200,
        "corp_full_name": world.corps.get(authorization.corpid).name,
        "verified_end_time": 1795104000,
        "subject_type": 1,
        "corp_wxqrcode": _LOGO,
        "corp_scale": "1-50人" if by_admin else "",
        "corp_industry": "IT服务" if by_admin else "",
        "corp_sub_industry": "互联网和相关服务" if by_admin else "",
    }


def installer(world: World, authorization: Authorization) -> Answer:
    """Describe who installed it; empty after an install by a share."""
    if not authorization.installer:
        return {}
    suite = world.suites.get(authorization.suite_id)
    provider = world.suites.provider_of(suite)
    userid = provider.userid(authorization.corpid, authorization.installer)
    open_userid = provider.open_userid(authorization.corpid, authorization.installer)
    # A third party gets the userid in place of the name (wecom-api G33).
    person = {"userid": userid, "open_userid": open_userid, "name": userid, "avatar": _LOGO}
    return {"auth_user_info": person}


def auth_info(world: World, authorization: Authorization) -> Answer:
    """Describe the app in the corp; a suite without an app has no auth_info."""
    suite = world.suites.get(authorization.suite_id)
    if not suite.has_agent:
        return {}
    app = world.app(*authorization.app)
    agent = {
        "agentid": app.agentid,
        "name": app.name,
        "round_logo_url": _LOGO,
        "square_logo_url": _LOGO,
        "auth_mode": int(authorization.auth_mode),
        "is_customized_app": suite.customized,
        "auth_from_thirdapp": False,
        "privilege": _privilege(world, authorization, level=0 if suite.customized else 1),
        **_shared_from(world, authorization),
    }
    return {"auth_info": {"agent": [agent]}}


def edition_info(authorization: Authorization) -> Answer:
    """Describe what the corp has paid for; empty where nothing is paid for."""
    if authorization.edition is None:
        return {}
    return {"edition_info": {"agent": [_edition(authorization, authorization.edition)]}}


def _privilege(world: World, authorization: Authorization, level: int) -> Answer:
    suite = world.suites.get(authorization.suite_id)
    provider = world.suites.provider_of(suite)
    members = world.corps.get(authorization.corpid).members.values()
    return {
        "level": level,
        "allow_party": [1],
        "allow_user": [provider.userid(authorization.corpid, member.userid) for member in members],
        "allow_tag": [],
        "extra_party": [],
        "extra_user": [],
        "extra_tag": [],
    }


def _shared_from(world: World, authorization: Authorization) -> Answer:
    if (parent := authorization.shared_from) is None:
        return {}
    corpid = world.suites.corpid(authorization.suite_id, parent.corpid)
    return {"shared_from": {"corpid": corpid, "share_type": int(parent.business_type)}}


def _edition(authorization: Authorization, edition: Edition) -> Answer:
    return {
        "agentid": authorization.agentid,
        "edition_id": edition.edition_id,
        "edition_name": edition.edition_name,
        "app_status": edition.app_status,
        "user_limit": edition.user_limit,
        "expired_time": edition.expired_time,
        "is_virtual_version": edition.is_virtual_version,
        "is_shared_from_other_corp": authorization.shared_from is not None,
    }
