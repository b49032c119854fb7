"""The page shows the fleet, the worst first, and nothing that others wrote acts in a browser."""

import re
from html.parser import HTMLParser

import pytest
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.protocol.error_codes import error_of
from broker.server.diagnosis.finding import Level
from broker.server.http.console.page import LONGEST, ROWS, Asked, Page, cut
from broker.telemetry.recent_problems import ProblemKind
from tests.unit.console.pages import MINUTE, NOW, caller, html, recent, refusal, replica, row, seen

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = "\"><img src=x onerror='alert(1)'>"
BIDI = "crm\u202egnp.exe\u2066\u200f\x1b[31m\0"
LONG = "长" * 10_000
HOSTILE = {
    "script": SCRIPT,
    "attribute": BREAKOUT,
    "bidi": BIDI,
    "long": LONG,
    "template": "{{ 7 * 7 }}{% x %}",
}
VOID = {"meta", "input", "br", "link", "img"}


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def everywhere(text: str) -> str:
    """Return a page that has the text wherever WeCom, a caller, a replica or an operator could put it."""
    what = seen(
        rows=[row(app=text, corp_id=text, error=f"SECRET_REJECTED: {text}", error_at=NOW, level=Level.FAIL)],
        callers=[caller(text, identity=text)],
        recent=[recent(kind, text, text) for kind in ProblemKind],
        replicas=[replica(text, wecom_healthy=False, wecom_error=text), replica("other", obstacle=text)],
        refusals=[refusal(app=text, endpoint=text, ip=text, remedy=text, reason=text)],
        groups=[
            pb.EventGroup(app=text, group=text, open_count=1, dead_count=1, oldest_time=NOW - 60 * MINUTE)
        ],
        quotas=[pb.Quota(endpoint=text, corp_id=text, used_count=9, limit_count=10)],
    )
    return html(what, Asked(app=text, find=text, lang=text, retried=text), [text])


@pytest.mark.parametrize("name", HOSTILE)
def test_what_others_wrote_is_text_and_nothing_else(name: str) -> None:
    plain, page = Reader(everywhere("harmless")), Reader(everywhere(HOSTILE[name]))

    assert plain.tags == page.tags
    assert [(tag, key) for tag, key, _ in plain.attributes] == [(tag, key) for tag, key, _ in page.attributes]
    assert "49" not in "".join(page.words) or name != "template"


def test_control_characters_are_shown_not_sent() -> None:
    page = everywhere(BIDI)

    assert "crm\\u202egnp.exe\\u2066\\u200f\\x1b[31m\\x00" in Reader(page).text
    assert [] == [char for char in page if not char.isprintable() and char != "\n"]


def test_a_long_name_is_cut() -> None:
    assert len(everywhere(LONG)) < 100 * 3 * LONGEST * 3
    assert "长" * (LONGEST + 1) not in html(seen(rows=[row(corp_id=LONG)], refusals=[refusal(app=LONG)]))


def test_a_page_needs_no_script_and_nothing_from_elsewhere() -> None:
    reader = Reader(html(seen(rows=[row()], refusals=[refusal()], callers=[caller()]), Asked(), ["crm"]))

    assert not {"script", "link", "img", "iframe", "object", "base"} & set(reader.tags)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on") or name in {"style", "src"}]
    addresses = [value for _, name, value in reader.attributes if name in {"href", "action"}]
    assert addresses
    assert [] == [address for address in addresses if address[0] not in "/#" or "//" in address]


def test_only_the_style_of_the_page_is_allowed() -> None:
    policy = Page().policy

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_ten_thousand_corps_come_in_pages_the_worst_first() -> None:
    rows = [row(number) for number in range(10_000)]
    rows[7777] = row(7777, state="missing", level=Level.FAIL, error="SECRET_REJECTED: wrong", kept_until=NOW)
    what = seen(rows=rows)
    first, last = cut(what.rows, Asked()), cut(what.rows, Asked(page=10**6))

    assert (100, 10_000) == (first.pages, first.found)
    assert "ww07777" == first.rows[0].corp_id
    assert ("ww09999", ROWS) == (last.rows[-1].corp_id, len(last.rows))
    page = html(what, Asked(page=2, lang="zh"))
    assert ROWS == page.count("<td>access_token</td>")
    assert 'href="/?lang=zh&amp;page=3" rel="next"' in page
    assert "page 2 of 100, 10000 rows" in Reader(page).text


def test_an_operator_finds_a_corp_an_app_or_an_error() -> None:
    rows = [row(1), row(2, app="hr"), row(3, error="IP_NOT_TRUSTED: 203.0.113.9")]

    for text, found in {"WW00001 ": [1], "hr": [2], "ip_not": [3], "": [1, 2, 3], "nowhere": []}.items():
        assert [f"ww{number:05d}" for number in found] == [
            each.corp_id for each in cut(rows, Asked(find=text)).rows
        ]


def test_state_is_told_in_words_and_by_a_mark_too() -> None:
    rows = [row(1), row(2, state="nearly gone", level=Level.WARN), row(3, state="missing", level=Level.FAIL)]

    text = Reader(html(seen(rows=rows))).text
    assert {"● fresh", "▲ nearly gone", "✕ missing"} <= set(
        re.findall(r"[●▲✕] (?:fresh|nearly gone|missing)", text)
    )


def test_a_silent_replica_is_shown_with_the_age_of_its_word() -> None:
    replicas = [replica("broker-1"), replica("broker-2", silent=True, report_time=NOW - 7 * MINUTE)]

    text = Reader(html(seen(replicas=replicas))).text
    assert "1 of 2 serving" in text
    assert "broker-2 ✕ silent 7 min ago 11-27 07:53:00" in text
    assert "replica broker-2 no word for 7 min → look at its supervisor" in text


def test_try_again_is_offered_to_who_may_and_only_where_something_is_refused() -> None:
    what = seen(refusals=[refusal()])

    assert 'name="retry" value="crm"' in html(what, may_retry=["crm"])
    assert 'name="retry"' not in html(what)


def test_problems_have_a_remedy_in_the_language_of_the_page() -> None:
    refused = {"refusals": [refusal()], "recent": [recent(ProblemKind.CALLBACK, "crm", "signature")]}

    english, chinese = (Reader(html(seen(language=code, **refused))).text for code in ("en", "zh"))
    assert "→ enable the app in WeCom's console, then: wecom-broker retry crm" in english
    assert "→ 在企业微信管理后台启用该应用，然后：wecom-broker retry crm" in chinese
    assert (
        "callback refused: signature → compare Token with 接收消息 in WeCom's console, then reload" in english
    )
    assert "回调被拒绝：signature → 与管理后台“接收消息”中的 Token 核对，然后重新加载" in chinese


def test_a_suites_problems_have_a_remedy_for_suites_in_both_languages() -> None:
    apps = [pb.App(name="built", kind="customized"), pb.App(name="isv", kind="provider")]
    refusals = [
        refusal(app="built", corp_id="ww1", reason="SECRET_REJECTED", remedy="as the broker said"),
        refusal(app="isv", reason="IP_NOT_TRUSTED", ip="203.0.113.9", remedy="as the broker said"),
        refusal(app="built", corp_id="ww1child", parent_corp_id="ww1", reason="APP_NOT_SHARED", remedy=""),
    ]
    passed = [
        recent(ProblemKind.SHARE, "built", ""),
        recent(ProblemKind.FETCH, "isv", "IP_NOT_TRUSTED"),
        recent(ProblemKind.FETCH, "built", "SECRET_REJECTED"),
    ]

    chinese = Reader(html(seen(language="zh", apps=apps, refusals=refusals))).text
    later = Reader(html(seen(apps=apps, recent=passed))).text

    assert "没有收到 ww1 的新永久授权码" in chinese
    assert "把 203.0.113.9 加入服务商的IP白名单" in chinese
    assert "wecom-broker shares sync built --parent ww1" in chinese
    assert "wecom-broker shares sync built --parent CORP" in later
    assert "add the broker's address to the provider's IP白名单" in later
    assert "not fetched: SECRET_REJECTED → see the other lines, and the log" in later


def test_no_more_than_fifty_problems_are_shown() -> None:
    many = [recent(ProblemKind.FETCH, f"app-{number}", "SECRET_REJECTED") for number in range(80)]

    assert 50 == html(seen(recent=many)).count("not fetched: SECRET_REJECTED")


def test_a_caller_s_digest_is_not_shown() -> None:
    digest = "7a917f57b67d7a95a21773f30f433be5"

    page = html(seen(callers=[caller("pager", identity="", token_sha256=digest)]))
    assert "a bearer token" in page
    assert digest not in page


def test_the_page_of_one_app_has_neither_the_fleet_nor_callers() -> None:
    text = Reader(html(seen(app="crm", rows=[row()], callers=[caller()]), Asked(app="crm"))).text

    assert "app crm" in text
    assert "Replicas" not in text
    assert "orders" not in text


def test_what_wecom_answered_is_said_in_the_language_of_the_page() -> None:
    error = error_of("/cgi-bin/gettoken", {"errcode": 50003})
    assert error
    what = [row(error=f"{error.reason}: {error.message}", answer=error.metadata)]

    chinese = Reader(html(seen(rows=what, language="zh"))).text
    assert "APP_DISABLED: 企业微信对 /cgi-bin/gettoken 返回 errcode 50003" in chinese
    assert "WeCom answered" not in chinese
    assert "APP_DISABLED: WeCom answered /cgi-bin/gettoken with errcode 50003" in html(seen(rows=what))
