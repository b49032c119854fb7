"""Who a visitor of a page is."""

from dataclasses import dataclass
from enum import StrEnum

from broker.domain.secret import Secret


class UserKind(StrEnum):
    """What kind of person a user is."""

    OWN_MEMBER = "own_member"
    CHILD_MEMBER = "child_member"
    EXTERNAL_CONTACT = "external_contact"
    """A customer of a member (外部联系人)."""
    NON_MEMBER = "non_member"
    """Somebody whom the corp does not know."""


@dataclass(frozen=True, slots=True)
class User:
    """One user. A member has a corp and an id in it; the ids of other users name no corp."""

    corp_id: str
    user_id: str
    kind: UserKind
    external_user_id: str = ""
    open_id: str = ""
    user_ticket: Secret | None = None
    """Can be exchanged for the profile within half an hour, if the user agreed manually (wecom-api A8)."""
