"""The file of authorisations: whole and unaltered, or refused; and nobody reads it without its key."""

import base64
import json
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.adapters.storage.backup import BackupRefused, backup_key, read_backup, write_backup
from broker.adapters.storage.seal import SealKey
from broker.adapters.storage.suite_codecs import AUTHORIZATIONS
from broker.domain.secret import Secret
from tests.unit.adapters.kept_suites import AUTHORIZATION, CANCELLED, REFUSED

KEY = backup_key(base64.b64encode(bytes(range(32))).decode())
OTHER = backup_key(base64.b64encode(bytes(32)).decode())
FULL = AUTHORIZATION.value
ALL = [
    FULL,
    replace(REFUSED.value, corp_id="wpDEF", permanent_code=Secret("another-code")),
    replace(CANCELLED.value, suite="erp", fence=7),
]
unhurried = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def refusal(file: bytes, key: SealKey = KEY) -> str:
    with pytest.raises(BackupRefused) as refused:
        read_backup(file, key)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return str(refused.value)


def changed(line: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(line), **fields}).encode()


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return write_backup(ALL, KEY).splitlines()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_was_written_is_read_again(count: int) -> None:
    assert ALL[:count] == read_backup(write_backup(ALL[:count], KEY), KEY)


def test_agents_install_time_and_permanent_code_are_in_it() -> None:
    [read] = read_backup(write_backup([FULL], KEY), KEY)

    assert FULL.permanent_code == read.permanent_code
    assert (FULL.installed_at, FULL.agents) == (read.installed_at, read.agents)


def test_line_ends_that_an_editor_writes_do_no_harm() -> None:
    file = write_backup(ALL, KEY)

    assert ALL == read_backup(file.replace(b"\n", b"\r\n"), KEY)
    assert ALL == read_backup(file + b"\n\n", KEY) == read_backup(file.rstrip(), KEY)


def test_only_suite_corp_and_fence_are_to_be_seen() -> None:
    file = write_backup(ALL, KEY)
    _, *rest = map(json.loads, file.splitlines())

    assert [{"suite", "corp_id", "fence", "sealed"}] * 3 == [set(line) for line in rest]
    for hidden in ("code-中", "another-code", "示例", "zhangsan", FULL.code_hash):
        for visible in (hidden.encode(), ascii(hidden)[1:-1].encode(), base64.b64encode(hidden.encode())):
            assert visible not in file


def test_no_two_files_are_alike() -> None:
    assert write_backup(ALL, KEY) != write_backup(ALL, KEY)


@pytest.mark.parametrize("authorizations", [[], ALL], ids=["empty", "full"])
def test_another_key_is_refused(authorizations: list[object]) -> None:
    said = refusal(write_backup(ALL if authorizations else [], KEY), OTHER)

    assert "the key is not that of the file, or the file's first line was altered" == said


def test_a_file_that_lacks_lines_is_refused(lines: list[bytes]) -> None:
    assert "the file is not whole: it has 2 of 3 authorisations" == refusal(b"\n".join(lines[:-1]))
    assert "the file is not whole: it has 0 of 3 authorisations" == refusal(lines[0])


def test_a_file_with_a_line_too_many_is_refused(lines: list[bytes]) -> None:
    assert "the file is not whole: it has 4 of 3 authorisations" == refusal(b"\n".join([*lines, lines[1]]))


def test_a_line_that_is_cut_off_is_refused(lines: list[bytes]) -> None:
    assert "line 4 of the file was cut off or altered" == refusal(b"\n".join(lines)[:-20])


@pytest.mark.parametrize("field", ["suite", "corp_id", "fence", "sealed"])
def test_an_altered_line_is_refused(lines: list[bytes], field: str) -> None:
    altered = {"suite": "erp", "corp_id": "wpXYZ", "fence": 5, "sealed": "AAAA"}[field]
    lines = [*lines[:2], changed(lines[2], **{field: altered}), *lines[3:]]

    assert "line 3 of the file was cut off or altered" == refusal(b"\n".join(lines))


def test_a_line_without_a_field_is_refused(lines: list[bytes]) -> None:
    assert "line 2 of the file was cut off or altered" == refusal(b"\n".join([lines[0], b"{}", *lines[2:]]))


def test_lines_in_another_order_are_refused(lines: list[bytes]) -> None:
    first, one, two, three = lines

    assert "line 2 of the file was cut off or altered" == refusal(b"\n".join([first, two, one, three]))


def test_a_line_of_another_file_is_refused(lines: list[bytes]) -> None:
    other = write_backup(ALL, KEY).splitlines()

    assert "line 4 of the file was cut off or altered" == refusal(b"\n".join([*lines[:3], other[3]]))


@pytest.mark.parametrize("field", ["id", "count", "proof"])
def test_an_altered_first_line_is_refused(lines: list[bytes], field: str) -> None:
    altered = {"id": "another", "count": 2, "proof": "not base64 中"}[field]
    said = refusal(b"\n".join([changed(lines[0], **{field: altered}), *lines[1:3]]))

    assert "the key is not that of the file, or the file's first line was altered" == said


def test_a_later_version_is_refused_by_its_number(lines: list[bytes]) -> None:
    said = refusal(b"\n".join([changed(lines[0], version=2), *lines[1:]]))

    assert "the file is of version 2, and this broker reads version 1 alone" == said


def test_what_only_a_newer_broker_reads_is_refused_by_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    later = changed(AUTHORIZATION.record.payload, auth_mode="a mode of 2030")
    codec = replace(AUTHORIZATIONS, encode=lambda _: replace(AUTHORIZATION.record, payload=later))
    with monkeypatch.context() as newer:
        newer.setattr("broker.adapters.storage.backup.AUTHORIZATIONS", codec)
        file = write_backup([FULL], KEY)

    assert "a newer broker wrote the file: line 2 is damaged: auth_mode: enum" == refusal(file)


@pytest.mark.parametrize(
    "file", [b"", b"\n", b"{}", b"null", b"\xff\x00", b'{"format": "another"}', b"-----BEGIN"], ids=repr
)
def test_another_file_is_refused(file: bytes) -> None:
    assert "this is no export of authorisations" == refusal(file)


@unhurried
@given(st.data())
def test_a_byte_that_was_changed_anywhere_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    file = bytearray(write_backup(ALL, KEY))
    file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert ALL == read_backup(bytes(file), KEY)
    except BackupRefused:
        return


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(33)).decode(),
        "钥匙" * 22,
        "=" * 44,
    ],
)
def test_a_key_that_is_none_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(BackupRefused) as refused:
        backup_key(text)

    assert "the key is not base64 of 32 bytes" == str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_line_end_after_the_key_does_no_harm() -> None:
    text = base64.b64encode(os.urandom(32)).decode()

    assert backup_key(text) == backup_key(f"{text}\n")
