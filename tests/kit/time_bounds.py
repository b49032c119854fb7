"""Bounds on how long things take. One that was exceeded is measured again, as tests/conftest.py says."""


class TooSlow(AssertionError):
    """Something took longer than promised, in this run: maybe the machine was busy with other work.

    pytest runs such a test a second time (`--only-rerun` in pyproject.toml), and says so in its last line. A
    test that fails in any other way is not run again: a wrong answer is wrong, however rare.
    """


def check_took(seconds: float, within: float, told: str = "") -> None:
    """Raise `TooSlow` unless the seconds are fewer than those promised."""
    if not seconds < within:
        raise TooSlow(f"took {seconds:.3f} s, promised: less than {within} s{told and ': '}{told}")
