"""Which methods have a short cut."""

from collections.abc import Mapping

from broker.domain.caller_policy import CallerPolicy
from broker.domain.credentials import CredentialKind
from broker.domain.ports.clock import Clock, Randomness
from broker.server.grpc import signatures
from broker.server.grpc.warm.answers import WarmAnswers
from broker.server.grpc.warm.pages import WarmPages
from broker.server.grpc.warm.tokens import WarmTokens
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.shares.targets import Targets

CORP, AGENT = CredentialKind.CORP_TICKET, CredentialKind.AGENT_TICKET
MOST_PAGES = 10_000
"""How many pages' signatures are kept for each method: pages are many, and each asked for less often."""
Warm = Mapping[str, WarmAnswers]
"""By method, what it has answered."""


def warm_methods(
    targets: Targets, memory: CredentialCache, clock: Clock, randomness: Randomness, policy: CallerPolicy
) -> Warm:
    """Return what the methods with a short cut keep, which is forgotten whenever the rules change."""
    world = targets, memory, clock, randomness
    tokens, js_sdk = "/wecom_broker.v1.TokenService", "/wecom_broker.v1.JsSdkService"
    warm: Warm = {
        f"{tokens}/GetAccessToken": WarmAnswers(WarmTokens(targets, memory, clock)),
        f"{js_sdk}/SignPage": WarmAnswers(WarmPages((CORP, AGENT), signatures.page, *world), MOST_PAGES),
        f"{js_sdk}/SignConfig": WarmAnswers(WarmPages((CORP,), signatures.config, *world), MOST_PAGES),
        f"{js_sdk}/SignAgentConfig": WarmAnswers(
            WarmPages((AGENT,), signatures.agent_config, *world), MOST_PAGES
        ),
    }
    for answers in warm.values():
        policy.on_change(answers.forget_all)
    return warm
