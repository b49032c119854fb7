"""Which files a configuration consists of, and whether they have changed."""

from pathlib import Path

import pytest

from broker.app.reloading.watching import ConfigFiles
from tests.kit.steps import counted_steps

CALLERS = "".join(f'[[callers]]\nname = "caller-{number}"\n' for number in range(200))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "broker.toml"
    file.write_text(f'[[apps]]\nsecret = {{ file = "{tmp_path}/secret" }}\n{CALLERS}')
    return file


def test_a_file_that_is_as_it_was_is_not_parsed_again(file: Path) -> None:
    with counted_steps() as parsed:
        files = ConfigFiles(file)
    with counted_steps() as looked:
        assert not files.changed()

    assert looked.count < parsed.count / 20


def test_what_a_changed_file_names_is_looked_at_from_then_on(file: Path) -> None:
    files, secret = ConfigFiles(file), file.with_name("secret")
    secret.write_text("a")
    file.write_text(f'[[apps]]\nsecret = {{ file = "{secret}" }}\n')
    assert files.changed()
    assert not files.changed()

    secret.write_text("b")
    assert files.changed()


def test_the_names_of_a_file_that_was_half_written_are_read_again(file: Path) -> None:
    whole, files = file.read_text(), ConfigFiles(file)
    file.write_text("[[apps")
    assert files.changed()
    file.write_text(whole)
    assert files.changed()

    file.with_name("secret").write_text("b")
    assert files.changed()


def test_what_a_missing_file_named_is_looked_at_all_the_same(file: Path) -> None:
    secret = file.with_name("secret")
    secret.write_text("a")
    file.write_text(f'[[apps]]\nsecret = {{ file = "{secret}" }}\n')
    files = ConfigFiles(file)
    file.unlink()
    assert files.changed()

    secret.write_text("b")
    assert files.changed()
