"""Corps, and how an app reaches them."""

import re
from enum import StrEnum

CORP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ShareKind(StrEnum):
    """How an app reaches a corp: its own, or a child through 企业互联 or 上下游."""

    OWN = "own"
    CORP_GROUP = "corp_group"
    SUPPLY_CHAIN = "supply_chain"

    @property
    def business_type(self) -> int:
        """Return WeCom's number for the relation (wecom-api A2)."""
        return 1 if self is ShareKind.SUPPLY_CHAIN else 0
