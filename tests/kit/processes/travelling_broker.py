"""A patient `wecom-broker` whose clock is ahead by the seconds in a file, which the first argument names."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

from broker.adapters.redis.servers import port
from broker.adapters.system import SystemClock
from broker.cli import main

port.ANSWER_SECONDS = 15.0
_ahead = Path(sys.argv.pop(1))
_system_now = SystemClock.now


def _now(clock: SystemClock) -> datetime:
    ahead = float(_ahead.read_text()) if _ahead.exists() else 0.0
    return _system_now(clock) + timedelta(seconds=ahead)


SystemClock.now = _now

main()
