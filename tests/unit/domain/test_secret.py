"""A secret leaves by `reveal` and by no accident."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.apps import App, AppKind
from broker.domain.secret import Secret

VALUE = "correct-horse-battery"
SECRET = Secret(VALUE)


@dataclasses.dataclass
class Holder:
    name: str
    secret: Secret


SHOWN = {
    "repr": repr(SECRET),
    "str": str(SECRET),
    "format": format(SECRET),
    "f-string": f"{SECRET}",
    "f-string with repr": f"{SECRET!r}",
    "percent": "%s" % SECRET,  # noqa: UP031
    "percent r": "%r" % SECRET,  # noqa: UP031
    "str.format": "{} {!r} {!s}".format(SECRET, SECRET, SECRET),  # noqa: UP032
    "ascii": ascii(SECRET),
    "in a list": str([SECRET]),
    "in a dict": str({"secret": SECRET}),
    "in a dataclass": repr(Holder("a", SECRET)),
    "in an app": repr(App("crm", AppKind.SELF_BUILT, "ww0", 1, SECRET)),
    "in an error": str(ValueError(SECRET)),
    "dir": str(dir(SECRET)),
}


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN.keys())
def test_showing_it_hides_it(shown: str) -> None:
    assert VALUE not in shown


def test_what_shows_in_its_place_says_that_it_is_a_secret() -> None:
    assert "Secret(***)" == repr(SECRET) == str(SECRET) == f"{SECRET}"


def test_only_reveal_shows_it() -> None:
    assert VALUE == SECRET.reveal()


def test_a_log_line_hides_it() -> None:
    written = io.StringIO()
    log = logging.getLogger("a log")
    log.addHandler(logging.StreamHandler(written))

    log.warning("the secret is %s, %r", SECRET, SECRET, extra={"secret": SECRET})

    assert "the secret is Secret(***), Secret(***)\n" == written.getvalue()


def test_a_traceback_hides_it() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    assert VALUE not in told


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Holder("a", SECRET), protocol)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_it_is_not_copied_by_the_way(copied: object) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        copied(SECRET)  # type: ignore[operator]


def test_it_is_not_turned_into_json() -> None:
    with pytest.raises(TypeError):
        json.dumps({"secret": SECRET})


def test_it_has_no_dictionary_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(SECRET)


@given(st.text(), st.text())
def test_two_secrets_are_equal_exactly_when_their_values_are(one: str, other: str) -> None:
    assert (one == other) is (Secret(one) == Secret(other))


def test_equal_secrets_have_equal_hashes() -> None:
    assert 1 == len({Secret("a"), Secret("a")})


def test_a_secret_is_no_string() -> None:
    assert VALUE != SECRET
    assert SECRET != VALUE
    assert hash(VALUE) != hash(SECRET)


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("0")


@given(st.text(min_size=12))
def test_a_fingerprint_is_short_and_tells_nothing(value: str) -> None:
    mark = Secret(value).fingerprint()

    assert 12 == len(mark)
    assert value != mark
    assert mark == Secret(value).fingerprint()


def test_two_secrets_have_two_fingerprints() -> None:
    assert Secret("a").fingerprint() != Secret("b").fingerprint()
