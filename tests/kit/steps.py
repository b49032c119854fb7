"""Count what the interpreter does for a piece of work: the same on every machine, however busy."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Steps:
    """How many instructions of Python code were executed; those of C functions do not count."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def counted_steps() -> Iterator[Steps]:
    """Count until the context exits; of coroutines, those that begin within it."""
    steps = Steps()

    def trace(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps.count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)
