"""How many files and connections this process may open."""

import resource

ENOUGH = 65536


def allow_open_files() -> None:
    """Raise the limit as far as the system lets everybody: shells and old services start with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
