"""The endpoints for providers and their suites; importing this package registers them."""

from broker.simulator.endpoints.suites import (
    app_rights,
    authorizations,
    identities,
    passthrough,
    permanent_codes,
    pre_auth_codes,
    suite_tokens,
)

__all__ = [
    "app_rights",
    "authorizations",
    "identities",
    "passthrough",
    "permanent_codes",
    "pre_auth_codes",
    "suite_tokens",
]
