"""What WeCom pushes to a provider: one of each row of wecom-api C4, as its pages have it."""

from dataclasses import dataclass

MARKET_ID, TAILORED_ID, PROVIDER_CORP = "ww8f3c1d5a77e0b942", "dk3b9a6f0e52d7c184", "ww5d0e9b21c7a4f683"
CORP, PARENT_CORP = "wpGk7dBwAAc8HtWn1yRvKfD0qXbSmUiQ", "wpGk7dBwAAx2JpQmT4uLrE9sVhYcNoZA"
REGISTERED = "wpGk7dBwAAn4"
CODE = "9tQe" + "x0Zk" * 16
RESET_CODE = "Qp7r" + "Lw3x" * 16
TICKET = "Yq3Lk9TtWm0cVx8ZrD5hNb2JpGs7EaUf"
CONTACT_TOKEN = "TOKENINCLEAR"
CUT_OUT = (CODE, RESET_CODE, TICKET, CONTACT_TOKEN)
"""What no subscriber and no log may see."""


@dataclass(frozen=True)
class Sample:
    """A message, where it arrives, and what a subscriber must see."""

    app: str
    receive_id: str
    xml: str
    event_type: str
    corp_id: str
    change_type: str = ""
    agent_id: int = 0
    user_id: str = ""


def command(info_type: str, **fields: str) -> str:
    """Write a message of the command URL, with its SuiteId."""
    return _told(f"<SuiteId><![CDATA[{MARKET_ID}]]></SuiteId>", info_type, fields)


def system(info_type: str, **fields: str) -> str:
    """Write a message of the system-event URL, with its ServiceCorpId."""
    return _told(f"<ServiceCorpId><![CDATA[{PROVIDER_CORP}]]></ServiceCorpId>", info_type, fields)


def data(event: str, corp_id: str = CORP, from_user: str = "sys", **fields: str) -> str:
    """Write an event of the data URL."""
    return (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><FromUserName><![CDATA[{from_user}]]>"
        "</FromUserName><CreateTime>1763020802</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[{event}]]></Event><AgentID>1000012</AgentID>{_parts(fields)}</xml>"
    )


def _told(receiver: str, info_type: str, fields: dict[str, str]) -> str:
    kind = f"<InfoType><![CDATA[{info_type}]]></InfoType>"
    return f"<xml>{receiver}{kind}<TimeStamp>1763020840</TimeStamp>{_parts(fields)}</xml>"


def _parts(fields: dict[str, str]) -> str:
    return "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())


def _about(info_type: str, change_type: str = "", **fields: str) -> Sample:
    change = {"ChangeType": change_type} if change_type else {}
    xml = command(info_type, AuthCorpId=CORP, **change, **fields)
    return Sample("market", MARKET_ID, xml, info_type, CORP, change_type)


def _paid(info_type: str, **fields: str) -> Sample:
    return Sample("market", MARKET_ID, command(info_type, PaidCorpId=CORP, **fields), info_type, CORP)


def _system(info_type: str, corp_id: str, **fields: str) -> Sample:
    named = {"AuthCorpId": corp_id} if corp_id else {}
    return Sample("acme", PROVIDER_CORP, system(info_type, **named, **fields), info_type, corp_id)


def _data(event: str, user_id: str = "", **fields: str) -> Sample:
    xml = data(event, from_user=user_id or "sys", **fields)
    return Sample("market", CORP, xml, event, CORP, agent_id=1000012, user_id=user_id)


SAMPLES = [
    # Beside each other as the pages have them: a blank before CDATA, CDATA without its "<" and ">".
    Sample(
        "market",
        MARKET_ID,
        f"<xml><SuiteId><![CDATA[{MARKET_ID}]]></SuiteId><InfoType> <![CDATA[suite_ticket]]></InfoType>"
        f"<TimeStamp>1763020800</TimeStamp><SuiteTicket><![CDATA[{TICKET}]]></SuiteTicket></xml>",
        "suite_ticket",
        "",
    ),
    Sample(
        "market",
        MARKET_ID,
        f"<xml><SuiteId><![CDATA[{MARKET_ID}]]></SuiteId><AuthCode><![CDATA[{CODE}]]></AuthCode><InfoType>"
        "<![CDATA[create_auth]]></InfoType><TimeStamp>1763020840</TimeStamp><State><![CDATA[123]]></State>"
        "<ExtraInfo></ExtraInfo></xml>",
        "create_auth",
        "",
    ),
    Sample(
        "tailored",
        TAILORED_ID,
        f"<xml><SuiteId><![CDATA[{TAILORED_ID}]]></SuiteId><AuthCode><![CDATA[{RESET_CODE}]]></AuthCode>"
        "<InfoType><![CDATA[reset_permanent_code]]></InfoType><TimeStamp>1763021100</TimeStamp></xml>",
        "reset_permanent_code",
        "",
    ),
    *(
        Sample(
            "market",
            MARKET_ID,
            f"<xml><SuiteId><![CDATA[{MARKET_ID}]]></SuiteId><InfoType><![CDATA[{event}]]></InfoType>"
            f"<TimeStamp>1763021200</TimeStamp><AppId>1</AppId><CorpId>{corp_id}</CorpId>"
            "<AgentId>1000007</AgentId></xml>",
            event,
            PARENT_CORP,
            agent_id=1000007,
        )
        for event in ("share_agent_change", "share_chain_change")
        for corp_id in (
            f"<![CDATA[{PARENT_CORP}]]>",
            f"![CDATA[{PARENT_CORP}]]",
            f"![CDATA[{PARENT_CORP}]]>",
            f" <![CDATA[{PARENT_CORP}]]>\n",
            f"<![CDATA[{PARENT_CORP}]]",
        )
    ),
    _about("change_auth", State="abc"),
    _about("cancel_auth"),
    *(
        _about("change_contact", change, UserID="woGk7dBwAAh7", OpenUserID="woGk7dBwAAh8")
        for change in ("create_user", "update_user", "delete_user", "create_party", "update_tag")
    ),
    _about("corp_arch_auth"),
    _about("approve_special_auth", AuthType="customer_acquisition"),
    _about("cancel_special_auth", AuthType="customer_acquisition"),
    _about("auth_data_permission", AuthType="data_zone_chat"),
    _about("expire_remind_data_permission", AuthType="data_zone_chat"),
    _about("change_external_contact", "add_external_contact", UserID="woGk7dBwAAh7"),
    _about("change_external_chat", "create", ChatId="wr1"),
    _about("change_external_tag", "create", Id="et1"),
    _about("customer_acquisition", "balance_low"),
    _about("customer_acquisition_permit_change"),
    _about("change_school_contact", "create_student"),
    _about("conversation_new_message", Token="CONVERSATIONTOKEN"),
    _about("hit_keyword", Token="CONVERSATIONTOKEN"),
    _about("chat_archive_audit_approved_single"),
    _about("batch_job_result", JobId="j1"),
    _about("device_data_auth_change"),
    _paid("open_order", OrderId="N1"),
    _paid("change_order", OrderId="N1"),
    _paid("pay_for_app_success", OrderId="N1"),
    _paid("refund", OrderId="N1"),
    _paid("cancel_order", OrderId="N1"),
    _paid("change_editon"),
    _paid("change_edition"),
    _data("change_app_admin"),
    _data("unlicensed_notify", "woGk7dBwAAh7"),
    *(
        _data(event, EffectTime="1763021400")
        for event in (
            "inactive_alert",
            "close_inactive_agent",
            "reopen_inactive_agent",
            "low_active_alert",
            "low_active",
            "active_restored",
        )
    ),
    _data("program_notify", NotifyId="NOTIFYID", NotifyScene="1"),
    _data("kf_msg_or_event", Token="KFTOKEN", OpenKfId="wk1"),
    _data("kf_account_auth_change"),
    _data("batch_job_result", JobId="j1"),
    Sample(
        "acme",
        PROVIDER_CORP,
        system("register_corp", RegisterCode="RC9v", AuthCorpId=REGISTERED).removesuffix("</xml>")
        + f"<ContactSync><AccessToken><![CDATA[{CONTACT_TOKEN}]]></AccessToken><ExpiresIn>1800</ExpiresIn>"
        "</ContactSync><AuthUserInfo><UserId><![CDATA[owner]]></UserId></AuthUserInfo></xml>",
        "register_corp",
        REGISTERED,
    ),
    Sample(
        "acme",
        PROVIDER_CORP,
        # The page closes this CDATA with "]]" and no ">".
        system("license_pay_success", AuthCorpId=PARENT_CORP, BuyerUserId="ops01", OrderId="OI1").replace(
            "ops01]]>", "ops01]]"
        ),
        "license_pay_success",
        PARENT_CORP,
    ),
    _system("license_refund", PARENT_CORP, OrderId="OI1"),
    _system("enter_register_package", REGISTERED),
    _system("agree_external_userid_migration", PARENT_CORP),
    _system("batch_job_result", PARENT_CORP, JobId="j1"),
    Sample(
        "acme",
        PROVIDER_CORP,
        system("auto_activate", AuthCorpId=CORP).removesuffix("</xml>")
        + "<AccountList><ActiveCode><![CDATA[LC7Q2]]></ActiveCode><Type>1</Type></AccountList></xml>",
        "auto_activate",
        CORP,
    ),
    *(
        _system(f"advanced_api_{what}", PARENT_CORP)
        for what in ("pay_success", "refund", "cancel", "insufficient", "expired", "trial_expired")
    ),
]
"""Of all rows; the third event of data permissions has no name yet."""
