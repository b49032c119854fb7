"""What a configuration may say and hardly means is a warning; what cannot be meant is a mistake."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broker.config.checking import warnings as checking
from broker.config.checking.warnings import warnings
from broker.config.load import ConfigError, parse_config

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = timedelta(days=1)
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CALLBACK = {"token": "abc", "aes_key": AES_KEY}
CRM: dict[str, Any] = {"name": "crm", "corp_id": "ww0parent", "agent_id": 1000002, "secret": "a-secret"}
HR: dict[str, Any] = {**CRM, "name": "hr", "agent_id": 1000003}
ORDERS: dict[str, Any] = {"name": "orders", "token_sha256": "f" * 64}


def warnings_of(**tables: Any) -> list[str]:
    return warnings(parse_config({"apps": [CRM], **tables}), NOW)


def mistakes(**tables: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_config({"apps": [CRM], **tables})
    return refused.value.problems


def caller(**rule: Any) -> list[dict[str, Any]]:
    return [{**ORDERS, "allow": [{"apps": ["crm"], "actions": ["token.get"], **rule}]}]


def rules(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**ORDERS, "allow": [{"apps": ["crm"], "actions": ["token.get"], **change} for change in changes]}
    ]


WARNED: list[tuple[dict[str, Any], str]] = [
    ({"callers": [ORDERS]}, "callers[0].allow: is missing or empty, so orders may do nothing"),
    (
        {"callers": [{**ORDERS, "allow": []}]},
        "callers[0].allow: is missing or empty, so orders may do nothing",
    ),
    (
        {"callers": caller(apps=["crn"])},
        "callers[0].allow[0].apps: no app 'crn' is configured; did you mean crm?",
    ),
    ({"callers": caller(apps=["crm", "x*"])}, "callers[0].allow[0].apps: no app 'x*' is configured"),
    (
        {"callers": caller(actions=["api.call"])},
        'callers[0].allow[0].paths: api.call is allowed for no path; name some, or all by ["*"]',
    ),
    (
        {"apps": [CRM, {**CRM, "name": "crm2"}]},
        "apps[1].agent_id: crm2 is the same app of the same corp as crm; one name is enough",
    ),
    (
        {"wecom": {"api_base": "http://qyapi.weixin.qq.com"}},
        "wecom.api_base: http sends secrets and tokens in the clear; use https",
    ),
    (
        {"wecom": {"oauth_base": "http://open.weixin.qq.com"}},
        "wecom.oauth_base: http sends login links in the clear; use https",
    ),
    (
        {"server": {"http": "0.0.0.0:8080"}},
        (
            "server.http: 0.0.0.0:8080 is off loopback, without TLS: whoever reaches it reads the"
            " metrics, which name apps and callers; let only a proxy and Prometheus reach it"
        ),
    ),
    (
        {"callers": caller(corps=["ww1", "no corp"])},
        "callers[0].allow[0].corps: 'no corp' matches no corp id",
    ),
    ({"callers": caller(corps=["ww/*"])}, "callers[0].allow[0].corps: 'ww/*' matches no corp id"),
    (
        {"callers": caller(paths=["/cgi-bin/user/get"])},
        "callers[0].allow[0].paths: count for api.call alone, which is not among the actions",
    ),
    (
        {"callers": caller(actions=["api.call"], paths=["user/get"])},
        "callers[0].allow[0].paths: 'user/get' matches no path of WeCom, which begins with /cgi-bin/",
    ),
    (
        {"callers": caller(actions=["api.call"], paths=["/cgi-bin/gettoken"])},
        "callers[0].allow[0].paths: CallApi refuses /cgi-bin/gettoken for everybody: it gives a token",
    ),
    (
        {"callers": caller(actions=["api.call"], paths=["/cgi-bin/media/uploadimg"])},
        (
            "callers[0].allow[0].paths: CallApi refuses /cgi-bin/media/uploadimg for everybody:"
            " it carries a file"
        ),
    ),
    (
        {"callers": caller(apps=["*"], actions=["miniprogram.session_key"])},
        (
            "callers[0].allow[0].apps: miniprogram.session_key for all apps covers apps to come;"
            " name those meant"
        ),
    ),
    (
        {"callers": rules({"actions": ["token.get", "share.read"]}, {"corps": ["ww1"]})},
        "callers[0].allow[1]: allows nothing that callers[0].allow[0] does not allow",
    ),
    (
        {"callers": rules({"corps": ["ww1"]}, {"apps": ["*"], "actions": ["token.get", "share.read"]})},
        "callers[0].allow[0]: allows nothing that callers[0].allow[1] does not allow",
    ),
    (
        {"callers": rules({}, {})},
        "callers[0].allow[1]: allows nothing that callers[0].allow[0] does not allow",
    ),
]


@pytest.mark.parametrize(("tables", "warning"), WARNED, ids=[key for _, key in WARNED])
def test_what_is_hardly_meant_is_warned_of(tables: dict[str, Any], warning: str) -> None:
    assert [warning] == warnings_of(**tables)


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"apps": [CRM, HR]},
        {"apps": [CRM, {**CRM, "name": "other", "corp_id": "ww0other"}]},
        {"apps": [{key: value for key, value in app.items() if key != "agent_id"} for app in (CRM, HR)]},
        {"apps": [{**CRM, "callback": CALLBACK}, {**HR, "callback": {**CALLBACK, "token": "abd"}}]},
        {"callers": caller(apps=["*", "c*"])},
        {"callers": caller(actions=["api.call"], paths=["*"])},
        {"callers": caller(actions=["api.call"], paths=["/cgi-bin/user/*", "/cgi-bin/department/list"])},
        {"callers": caller(actions=["api.call"], paths=["/cgi-bin/media/upload", "/cgi-bin/media/get"])},
        {"callers": caller(corps=["ww1*", "wp?b", "w[wp]2*", "*"])},
        {"callers": rules({"corps": ["ww1"]}, {"corps": ["ww2"]}, {"actions": ["share.read"]})},
        {
            "callers": rules(
                {"actions": ["api.call"], "paths": ["/cgi-bin/user/get"]},
                {"actions": ["api.call"], "paths": ["/cgi-bin/user/list"]},
            )
        },
        {"wecom": {"api_base": "http://127.0.0.1:8081", "oauth_base": "http://[::1]:8081"}},
        {"server": {"http": "localhost:8080"}},
    ],
)
def test_of_what_is_meant_nothing_is_said(tables: dict[str, Any]) -> None:
    assert [] == warnings_of(**tables)


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        (NOW - 2 * DAY, NOW - DAY, "expired on 2026-11-25"),
        (NOW + DAY, NOW + 2 * DAY, "is valid only from 2026-11-27 on"),
        (NOW - DAY, NOW + DAY, ""),
    ],
)
def test_a_certificate_out_of_its_time_is_warned_of(
    tmp_path: Path, begins: datetime, ends: datetime, said: str
) -> None:
    pem = tmp_path / "tls.pem"
    pem.write_bytes(certificate(begins, ends))
    pem.chmod(0o600)
    tls = {"certificate": str(pem), "private_key": str(pem), "client_ca": str(pem)}
    expected = [f"server.tls.{key}: {said}" for key in ("certificate", "client_ca")] if said else []

    assert expected == warnings_of(server={"tls": tls})


@pytest.mark.parametrize(
    ("mode", "folder_mode", "said"),
    [
        (0o600, 0o700, []),
        (0o640, 0o1777, []),
        (0o644, 0o755, ["store.url: {0} can be read by everybody on this machine: chmod 600 {0}"]),
        (0o600, 0o777, ["store.url: everybody on this machine can replace {0}: chmod o-w {1}"]),
    ],
)
def test_a_database_that_others_may_read_or_replace_is_warned_of(
    tmp_path: Path, mode: int, folder_mode: int, said: list[str]
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    database = folder / "broker.db"
    database.touch()
    database.chmod(mode)
    folder.chmod(folder_mode)

    assert [line.format(database, folder) for line in said] == warnings_of(
        store={"url": f"sqlite:///{database}"}
    )


def test_a_private_key_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    pem = tmp_path / "tls.pem"
    pem.write_bytes(certificate(NOW - DAY, NOW + DAY))
    pem.chmod(0o644)

    assert [
        f"server.tls.private_key: {pem} can be read by everybody on this machine: chmod 600 {pem}"
    ] == warnings_of(server={"tls": {"certificate": str(pem), "private_key": str(pem)}})


def certificate(begins: datetime, ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


# --- mistakes


def test_two_apps_with_the_same_callback_keys_are_a_mistake() -> None:
    apps = [{**CRM, "callback": CALLBACK}, {**HR, "callback": {**CALLBACK, "token": " abc"}}]

    assert ["apps[1].callback: has the token and aes_key of crm; each app has its own"] == mistakes(apps=apps)


@pytest.mark.parametrize(
    ("digest", "problem"),
    [
        (
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "is the digest of an empty token",
        ),
        (
            "50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c",
            "is the digest of a published example; make a token of your own",
        ),
    ],
)
def test_a_digest_whose_token_anyone_knows_is_a_mistake(digest: str, problem: str) -> None:
    callers = [{**caller()[0], "token_sha256": digest}]

    assert [f"callers[0].token_sha256: {problem}"] == mistakes(callers=callers)


# --- words


WORDS: list[tuple[dict[str, Any], str]] = [
    (
        {"apps": [{**CRM, "agent_id": "1000002"}]},
        "apps[0].agent_id: must be a whole number; remove the quotes",
    ),
    ({"server": {"workers": "two"}}, "server.workers: must be a whole number"),
    ({"server": {"workers": 0}}, "server.workers: must be greater than or equal to 1"),
    ({"server": {"grpc": []}}, "server.grpc: must not be empty"),
    ({"server": {"grpc": "127.0.0.1:50051"}}, "server.grpc: must be a list, in [ ]"),
    ({"server": {"http": 8080}}, "server.http: must be a string, in quotes"),
    ({"server": {"reflection": "perhaps"}}, "server.reflection: must be true or false"),
    ({"wecom": {"resolve": []}}, "wecom.resolve: must be a table"),
    ({"refresh": {"advisory": []}}, "refresh.advisory: must be a number"),
    ({"log": {"level": "loud"}}, "log.level: must be 'debug', 'info', 'warning' or 'error'"),
    (
        {"log": {"level": "warn"}},
        "log.level: must be 'debug', 'info', 'warning' or 'error'; did you mean warning?",
    ),
    (
        {"apps": [{**CRM, "share_kinds": ["supplychain"]}]},
        "apps[0].share_kinds[0]: must be 'corp_group' or 'supply_chain'; did you mean supply_chain?",
    ),
    ({"store": {"prefix": "a b"}}, "store.prefix: is not 1 to 64 letters, digits, '.', '_', ':' or '-'"),
    ({"apps": [{**CRM, "corp_id": "ww 1"}]}, "apps[0].corp_id: is not a corp id, such as ww0123456789abcdef"),
    ({"servers": {}}, "servers: unknown key; did you mean server?"),
    ({"server": {"tsl": {}}}, "server.tsl: unknown key; did you mean tls?"),
    ({"apps": [{**CRM, "corpid": "ww"}]}, "apps[0].corpid: unknown key; did you mean corp_id?"),
    (
        {"apps": [{**CRM, "callback": {**CALLBACK, "aeskey": AES_KEY}}]},
        "apps[0].callback.aeskey: unknown key; did you mean aes_key?",
    ),
    (
        {"callers": caller(action=["token.get"])},
        "callers[0].allow[0].action: unknown key; did you mean actions?",
    ),
    ({"server": {"zzz": 1}}, "server.zzz: unknown key"),
]


@pytest.mark.parametrize(("tables", "problem"), WORDS, ids=[problem for _, problem in WORDS])
def test_a_mistake_is_told_in_words_for_who_wrote_the_file(tables: dict[str, Any], problem: str) -> None:
    assert [problem] == mistakes(**tables)


def test_no_message_shows_a_pattern() -> None:
    told = mistakes(
        store={"seal_keys": [{"id": "", "key": "x"}]},
        apps=[{**CRM, "mini_program": {"app_id": "wx 1"}}],
        callers=[{**ORDERS, "token_sha256": "F"}, {"name": "b", "identity": "b"}],
    )

    assert not any(sign in problem for problem in told for sign in ("^", "$", "[A-", "should"))


def test_an_identity_that_no_listener_asks_for_is_warned_of_with_what_to_do(tmp_path: Path) -> None:
    pem = tmp_path / "tls.pem"
    pem.write_bytes(certificate(NOW - DAY, NOW + DAY))
    pem.chmod(0o600)
    tls = {"certificate": str(pem), "private_key": str(pem), "client_ca": str(pem)}
    known = [{**caller()[0], "token_sha256": None, "identity": "dns:orders.svc"}]
    asks = {"address": "127.0.0.1:50052", "client_certificate": True}

    def warned(grpc: list[Any], **more: Any) -> list[str]:
        return warnings_of(server={"grpc": grpc, "tls": {**tls, **more}}, callers=known)

    assert [] == warned(["127.0.0.1:50051"])
    assert [] == warned(["127.0.0.1:50051", asks], client_ca_required=False)
    for problems in (
        warned(["127.0.0.1:50051", "unix:///run/b.sock"], client_ca_required=False),
        warned(["unix:///run/b.sock"]),
        warned([{**asks, "client_certificate": False}]),
    ):
        [problem] = problems
        assert problem.startswith(
            "callers[0].identity: orders cannot prove it, for no listener asks for client"
        )
        assert "give it a token_sha256, or a listener with client_certificate = true" in problem


def test_tracing_needs_what_is_installed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [] == warnings_of(tracing={"enabled": True})
    monkeypatch.setattr(checking, "find_spec", lambda _package: None)

    assert [] == warnings_of(tracing={"enabled": False})
    [warning] = warnings_of(tracing={"enabled": True})
    assert warning.startswith("tracing.enabled: OpenTelemetry is not installed here")


def test_a_part_of_what_tracing_needs_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(package: str) -> object:
        if package.startswith("opentelemetry."):
            raise ModuleNotFoundError
        return package

    monkeypatch.setattr(checking, "find_spec", find)

    assert 1 == len(warnings_of(tracing={"enabled": True}))
