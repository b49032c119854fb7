"""The endpoints by subject; importing this package registers them."""

from broker.simulator.endpoints import (
    addresses,
    agents,
    app_tokens,
    corp_group,
    members,
)
from broker.simulator.registry import ENDPOINTS

__all__ = ["ENDPOINTS", "addresses", "agents", "app_tokens", "corp_group", "members"]
