"""Show providers, suites and who authorised them, without secrets."""

from broker.simulator.answers import Answer
from broker.simulator.control.form import Form
from broker.simulator.control.routes import control
from broker.simulator.world import World
from broker.simulator.world.call_log import digest
from broker.simulator.world.suites.authorization import Authorization
from broker.simulator.world.suites.codes import AuthCode
from broker.simulator.world.suites.provider import Provider
from broker.simulator.world.suites.suite import Suite
from broker.simulator.world.tokens import SuiteToken


@control("GET", "suites")
def read_suites(world: World, form: Form) -> Answer:
    """Show providers, suites, authorisations and the digests of their codes."""
    form.finish()
    return {
        "providers": [_provider(provider) for provider in world.suites.providers],
        "suites": [_suite(world, suite) for suite in world.suites],
    }


def _provider(provider: Provider) -> Answer:
    return {
        "corp_id": provider.corp_id,
        "name": provider.name,
        "encrypted_ids": provider.encrypted_ids,
        "trusted_ips": None if provider.trusted_ips is None else sorted(provider.trusted_ips),
    }


def _suite(world: World, suite: Suite) -> Answer:
    return {
        "suite_id": suite.suite_id,
        "name": suite.name,
        "kind": suite.kind.value,
        "provider": suite.provider_id,
        "published": suite.published,
        "paid": suite.paid,
        "mini_program": suite.mini_program,
        "has_agent": suite.has_agent,
        "redirect_host": suite.redirect_host,
        "living_tokens": len(world.books[SuiteToken].alive(suite.holder, world.now())),
        "authorizations": [
            _authorization(world, each) for each in world.suites.authorizations(suite.suite_id)
        ],
    }


def _authorization(world: World, authorization: Authorization) -> Answer:
    shared_from, edition = authorization.shared_from, authorization.edition
    return {
        "corpid": world.suites.corpid(authorization.suite_id, authorization.corpid),
        "plain_corpid": authorization.corpid,
        "agentid": authorization.agentid,
        "active": authorization.active,
        "exchanged": authorization.exchanged,
        "created_at": authorization.created_at,
        "auth_mode": int(authorization.auth_mode),
        "installer": authorization.installer,
        "shared_from": shared_from and shared_from.corpid,
        "edition": edition and edition.edition_id,
        "permissions": authorization.permissions,
        "living_tokens": len(world.tokens.alive(authorization.app, world.now())),
        "codes": [_code(world, code) for code in world.suites.codes.of(authorization)],
    }


def _code(world: World, code: AuthCode) -> Answer:
    return {
        "digest": digest(code.value),
        "purpose": code.purpose.value,
        "used": code.used,
        "expires_at": code.expires_at,
        "times_sent": world.log.times_sent(code.value),
    }
