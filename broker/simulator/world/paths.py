"""The paths of WeCom that the simulator answers, and their short names."""

PATHS: set[str] = set()
"""Each endpoint adds its path when it is imported."""


def path_of(name: str) -> str:
    """Return a path by its name under /cgi-bin, or by a unique ending. Raises ValueError.

    "gettoken" is /cgi-bin/gettoken, "corp/gettoken" is /cgi-bin/corpgroup/corp/gettoken.
    """
    wanted = "/" + name.strip("/")
    for path in (wanted, "/cgi-bin" + wanted):
        if path in PATHS:
            return path
    matches = [path for path in PATHS if path.endswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    raise ValueError(f"{name!r} is {'ambiguous' if matches else 'no endpoint'} of the simulator")


def path_or_all(name: str) -> str:
    """Return an endpoint's path; "*" stands for all of them. Raises ValueError."""
    return name if name == "*" else path_of(name)
