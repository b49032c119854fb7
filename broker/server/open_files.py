"""The files that this process may open: connections of strangers take a share of them, never all."""

import resource


def share_of_files(most: int, share: int) -> int:
    """Return how many files one use may have: so many, but only the `share`-th part of all."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else min(most, files // share)
