"""A configuration with a secret in each key that takes one, and what may not be found."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from broker.domain.access import Action
from tests.integration.secrecy.made_by_wecom import NAMES, text_of
from tests.integration.secrecy.service import BEARER, ECHO, SPEAKER, STRANGE
from tests.integration.suites.three_kinds import tables
from tests.kit.callbacks.attacks import MARK
from tests.kit.secrecy import forms

PROXY_PASSWORD = "the-password-of-the-proxy"
OLD_SEAL_KEY = base64.b64encode(bytes(range(100, 132))).decode()
CLIENT = "ww9client00000001"
CLIENT_CALLBACK = {"token": "TokenOfOneClientAlone", "aes_key": "KeyOfOneClientAloneForItsOwnCallbacksAlso0B"}
ACTIONS = [str(action) for action in Action]


def configured(wecom_url: str, store_url: str, proxy: int, **more: Any) -> dict[str, Any]:
    """Return it, with a caller that may do everything; calls go through the proxy on that port."""
    everything = {
        "name": "service",
        "token_sha256": hashlib.sha256(BEARER.encode()).hexdigest(),
        "allow": [{"apps": ["*"], "corps": ["*"], "paths": ["*"], "actions": ACTIONS}],
        "limits": {"forced_per_minute": 1000},
    }
    config = tables(
        wecom_url,
        store_url,
        wecom={"timeout_seconds": 1, "proxy": f"http://broker:{PROXY_PASSWORD}@127.0.0.1:{proxy}"},
        refresh={"cooldown_seconds": 0.01},
        callers=[everything],
        **more,
    )
    config["store"]["seal_keys"].append({"id": "k0", "key": OLD_SEAL_KEY})
    config["apps"][2]["corp_callbacks"] = {CLIENT: CLIENT_CALLBACK}
    return config


def needles_of(made: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Return what may not be found of tokens, of what callbacks say, and of what WeCom has made."""
    needles: dict[str, list[bytes]] = {
        "callers.token_sha256": [form for token in (BEARER, STRANGE) for form in forms(token)],
        "what a callback says": [form for said in (MARK, SPEAKER, ECHO) for form in forms(said)],
    }
    for size, name in NAMES.items():
        needles[name] = [
            form for value in made if len(value) == size for form in forms(value) | forms(text_of(value))
        ]
    return needles
