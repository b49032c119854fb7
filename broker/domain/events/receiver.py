"""For whom a callback is sealed: the receiveid, whose rules differ by the kind of callback (wecom-api C2)."""

from enum import StrEnum


class ReceiverForm(StrEnum):
    """What the receiveid of an accepted callback is."""

    OWN_CORP = "own_corp"
    """The corp of a self-built app."""
    CHILD = "child"
    """A corp that the app is shared with."""
    SUITE = "suite"
    """The suite_id."""
    AUTHORIZED_CORP = "authorized_corp"
    """A corp that authorised the suite."""
    INSTALLING_CORP = "installing_corp"
    """A corp that is not known yet, while an installation of the suite is open."""
    PLAIN_CORP = "plain_corp"
    """What can be the plain id of a 代开发 client, which the provider knows by its encrypted one."""
    PROVIDER = "provider"
    """The provider's corp."""
    EMPTY = "empty"
    """Nobody: 智能机器人 and personal subjects."""

    @property
    def is_documented(self) -> bool:
        """Return whether WeCom's documents say that such callbacks exist."""
        return self not in UNDOCUMENTED


UNDOCUMENTED = {
    ReceiverForm.CHILD,
    ReceiverForm.INSTALLING_CORP,
    ReceiverForm.PLAIN_CORP,
    ReceiverForm.PROVIDER,
}
