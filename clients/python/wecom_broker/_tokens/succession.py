"""Which of two tokens of a target is the one to use.

Generations can be compared only within one app of one corp: an app whose corp id or agent id is set back has
its former token again, of a lower generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wecom_broker._tokens.access_token import AccessToken


def same_app(one: AccessToken, other: AccessToken) -> bool:
    """Return whether both are of one app in one corp."""
    return (one.corp_id, one.agent_id) == (other.corp_id, other.agent_id)


def is_newer(one: AccessToken, other: AccessToken) -> bool:
    """Return whether the one is a later generation of the same app's token."""
    return same_app(one, other) and one.generation > other.generation


def stays(held: AccessToken, arrived: AccessToken, refused: AccessToken | None) -> bool:
    """Return whether a held token that is valid stays although another has arrived.

    `refused` is the token whose report brought the other; it never stays.
    """
    if refused is not None and same_app(held, refused) and held.generation == refused.generation:
        return False
    return is_newer(held, arrived)
