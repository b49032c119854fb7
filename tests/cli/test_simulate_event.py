"""`simulate --event`: sends one event of WeCom to a broker, and says how it was answered."""

import asyncio
import json
import queue
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import CallbackKeys
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT, SUITE_ID
from broker.simulator.world.events.kinds import COMMANDS, EventKind
from tests.cli.running import run
from tests.simulator.callbacks.receiver import Receiver, running_receiver

CHILD = "ww1child000000001"
SUPPLIER = "wpSupplier_000000001"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"


def _serve(started: queue.Queue[tuple[Receiver, asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    async def serve() -> None:
        stop = asyncio.Event()
        async with running_receiver() as receiver:
            started.put((receiver, asyncio.get_running_loop(), stop))
            await stop.wait()

    asyncio.run(serve())


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Run on a loop of its own: the command brings its own."""
    for name in ("TOKEN", "AES_KEY"):
        monkeypatch.delenv(f"WECOM_CALLBACK_{name}", raising=False)
    started: queue.Queue[tuple[Receiver, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()
    thread = threading.Thread(target=_serve, args=[started])
    thread.start()
    receiver, loop, stop = started.get(timeout=10)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_can_be_sent(receiver: Receiver, kind: EventKind) -> None:
    result = run("simulate", "--event", kind.value, "--callback-url", receiver.url)

    assert 0 == result.exit_code
    assert re.fullmatch(rf"{kind}: answered 200 'success' in \d\.\d{{3}} s\n", result.stdout)
    assert "" == result.stderr
    assert kind.wire_name in receiver.got[0].message.decode()
    assert (SUITE_ID if kind in COMMANDS else PARENT.corpid) == receiver.got[0].receive_id


def test_a_childs_member_writes(receiver: Receiver) -> None:
    run(
        *("simulate", "--event", "text", "--callback-url", receiver.url, "--corp", CHILD),
        *("--user", "lisi", "--text", "]]>你好", "--json-envelope"),
    )
    got = receiver.got[0]

    assert (CHILD, "lisi", "]]>你好", "1000010") == tuple(
        got.text(name) for name in ("ToUserName", "FromUserName", "Content", "AgentID")
    )
    assert "application/json" == got.content_type


def test_a_suppliers_member_is_encrypted(receiver: Receiver) -> None:
    run(
        *("simulate", "--event", "subscribe", "--callback-url", receiver.url),
        *("--corp", SUPPLIER, "--user", "wangwu"),
    )

    assert receiver.got[0].text("FromUserName").startswith("wo")


def test_a_corp_that_the_demo_does_not_know_has_its_own_ids(receiver: Receiver) -> None:
    for kind in ("text", "share_chain_change"):
        run(
            *("simulate", "--event", kind, "--callback-url", receiver.url),
            *("--receive-id", "ww0mine", "--agent", "5"),
        )
    run(
        *("simulate", "--event", "text", "--callback-url", receiver.url),
        *("--receive-id", "ww0mine", "--corp", "ww1theirs", "--user", "u", "--agent", "6"),
    )

    assert [
        ("ww0mine", "ww0mine", "ww0mine", "5"),
        ("ww0mine", "ww0mine", "ww0mine", "5"),
        ("ww0mine", "ww0mine", "ww1theirs", "6"),
    ] == [
        (got.receive_id, got.to_user_name, got.text("ToUserName"), got.text("AgentID"))
        for got in receiver.got
    ]


def test_a_suite_may_be_another_than_the_demos(receiver: Receiver) -> None:
    run(
        *("simulate", "--event", "suite_ticket", "--callback-url", receiver.url),
        *("--receive-id", "ww4suite"),
    )

    assert ("ww4suite", "ww4suite") == (receiver.got[0].receive_id, receiver.got[0].text("SuiteId"))


def test_many_are_sent_one_after_the_other(receiver: Receiver) -> None:
    result = run("simulate", "--event", "text", "--callback-url", receiver.url, "--count", "3")

    assert 3 == result.stdout.count("answered 200 'success'")
    assert 3 == len({got.text("MsgId") for got in receiver.got})


@pytest.mark.parametrize("answer", [(503, "later"), (200, ""), (200, "ok")])
def test_another_answer_is_told_and_is_a_failure(receiver: Receiver, answer: tuple[int, str]) -> None:
    status, body = answer
    receiver.answers = [web.Response(status=status, text=body) for _ in range(4)]
    result = run("simulate", "--event", "text", "--callback-url", receiver.url)

    assert 1 == result.exit_code
    assert "" == result.stdout
    assert f"text: answered {status} {body!r} in " in result.stderr
    assert "error: 1 of 1 not answered with 200 'success'" in result.stderr
    assert (4 if status == 503 else 1) == len(receiver.got)


def test_a_failure_that_a_repeat_mends_is_told_with_its_tries(receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=500)]
    result = run("simulate", "--event", "text", "--callback-url", receiver.url)

    assert 0 == result.exit_code
    assert result.stdout.endswith("s, after 2 tries\n")


def test_an_answer_that_would_write_on_the_terminal_is_quoted_and_cut(receiver: Receiver) -> None:
    receiver.answers = [web.Response(text="\x1b[2J" + "x" * 5000)]
    result = run("simulate", "--event", "text", "--callback-url", receiver.url)

    assert "\x1b" not in result.stderr
    assert len(result.stderr) < 400


def test_nobody_there_is_told() -> None:
    result = run("simulate", "--event", "text", "--callback-url", "http://127.0.0.1:9/callback/crm")

    assert 1 == result.exit_code
    assert "after 4 tries" in result.stderr
    assert "127.0.0.1" in result.stderr


def test_keys_come_from_options_or_the_environment(receiver: Receiver) -> None:
    receiver.keys = CallbackKeys(Secret("QDG6eK"), Secret(AES_KEY))
    send = ("simulate", "--event", "text", "--callback-url", receiver.url)

    assert 1 == run(*send).exit_code
    assert 0 == run(*send, "--callback-token", "QDG6eK", "--callback-aes-key", AES_KEY).exit_code
    assert 0 == run(*send, WECOM_CALLBACK_TOKEN="QDG6eK", WECOM_CALLBACK_AES_KEY=AES_KEY).exit_code


def test_a_refused_signature_is_a_failure_without_the_keys_in_it(receiver: Receiver) -> None:
    receiver.keys = CallbackKeys(Secret("QDG6eK"), Secret(AES_KEY))
    result = run("simulate", "--event", "text", "--callback-url", receiver.url)

    assert "answered 403" in result.stderr
    assert CALLBACK_TOKEN not in result.output
    assert CALLBACK_AES_KEY not in result.output


# --- verification


def test_a_url_is_verified(receiver: Receiver) -> None:
    result = run("simulate", "--event", "verify_url", "--callback-url", receiver.url)

    assert 0 == result.exit_code
    assert re.fullmatch(r"verify_url: answered 200 '\d+' in \d\.\d{3} s\n", result.stdout)


def test_a_url_that_answers_something_else_does_not_pass(receiver: Receiver) -> None:
    receiver.answers = [web.Response(text="success")]
    result = run("simulate", "--event", "verify_url", "--callback-url", receiver.url)

    assert 1 == result.exit_code
    assert re.match(r"error: verify_url: answered 200 'success' in .* not with the bare \d+\n", result.stderr)


# --- what makes no sense


def test_an_unknown_kind_lists_all_kinds() -> None:
    result = run("simulate", "--event", "change_edition")

    assert 2 == result.exit_code
    assert all(repr(str(kind)) in result.stderr for kind in [*EventKind, "verify_url"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "hi"], "--text is for --event."),
        (["--callback-url", "http://h/"], "--callback-url is for --event."),
        (["--event", "text", "--port", "0"], "--port is not for --event text."),
        (["--event", "text", "--habit", "same_value_remaining"], "--habit is not for --event text."),
        (["--event", "subscribe", "--text", "hi"], "--text is not for --event subscribe."),
        (["--event", "text", "--change-type", "corp_join"], "--change-type is not for --event text."),
        (["--event", "share_agent_change", "--corp", CHILD], "--corp is not for --event share_agent_change."),
        (["--event", "low_active", "--user", "u"], "--user is not for --event low_active."),
        (["--event", "suite_ticket", "--agent", "5"], "--agent is not for --event suite_ticket."),
        (["--event", "verify_url", "--count", "2"], "--count is not for --event verify_url."),
        (["--event", "verify_url", "--json-envelope"], "--json-envelope is not for --event verify_url."),
        (["--event", "text", "--callback-aes-key", "short"], "has 43 letters"),
        (["--event", "text", "--callback-url", "h:1"], "is no http URL"),
        (["--event", "text", "--count", "0"], "--count"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(arguments: list[str], said: str) -> None:
    result = run("simulate", *arguments)

    assert 2 == result.exit_code
    assert said in result.stderr


def test_keys_in_the_environment_do_not_keep_it_from_serving() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("simulate", "--port", str(port), WECOM_CALLBACK_TOKEN="QDG6eK")

    assert 1 == result.exit_code
    assert "cannot listen" in result.stderr


def test_a_robot_is_written_to(receiver: Receiver) -> None:
    assert 0 == run("simulate", "--event", "verify_url", "--callback-url", receiver.url, "--robot").exit_code
    assert 0 == run("simulate", "--event", "text", "--callback-url", receiver.url, "--robot").exit_code
    assert ([""], "") == (receiver.verified_for, receiver.got[0].receive_id)
    assert "你好" == json.loads(receiver.got[0].message)["text"]["content"]


def test_bytes_are_sent_as_they_are(receiver: Receiver, tmp_path: Path) -> None:
    message = b"\n<xml><Content><![CDATA[a\x10\xed\xa0\xbd\xff]]></Content></xml>"
    file = tmp_path / "message.xml"
    file.write_bytes(message)

    assert 0 == run("simulate", "--event", "text", "--callback-url", receiver.url, f"--raw={file}").exit_code
    assert message == receiver.got[0].message


def test_a_robot_is_told_of_two_kinds_only() -> None:
    result = run("simulate", "--event", "subscribe", "--robot")

    assert (2, True) == (result.exit_code, "--robot is not for --event subscribe" in result.stderr)
