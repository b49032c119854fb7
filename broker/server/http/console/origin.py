"""Where a request comes from: another site must neither press a button here nor read the page.

A browser adds credentials to whatever any site has it send. It says where a form was: by Sec-Fetch-Site, over
HTTPS or on this machine, and by Origin everywhere (Fetch, "append a request `Origin` header"). There is no
token in the form: all replicas would have to know it, and it protects no better.
"""

from ipaddress import ip_address

from aiohttp import web


def is_own(request: web.Request) -> bool:
    """Return whether the request was made by a page of this console; what does not say it was not."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    _, _, place = request.headers.get("Origin", "").partition("://")
    return bool(place) and place == request.headers.get("Host", "")


def names_an_address(request: web.Request) -> bool:
    """Return whether the browser was told an address, not a name.

    Where nobody has to prove anything, a site whose name leads to this machine could read the page (DNS
    rebinding).
    """
    host = request.headers.get("Host", "")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name == "localhost":
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
