"""How much processor time a process has used."""

from pathlib import Path

import psutil


def cpu_nanoseconds(pid: int) -> float:
    """Return the time of all threads: from the scheduler where it tells, else in ticks of 10 ms."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(float((task / "schedstat").read_text().split()[0]) for task in tasks)
    except OSError:
        times = psutil.Process(pid).cpu_times()
        return (times.user + times.system) * 1e9
