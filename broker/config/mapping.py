"""The configuration in the terms of the domain and the use cases."""

from datetime import timedelta

from broker.config.schema import Config
from broker.domain.access import Caller, Rule
from broker.domain.apps import App, AppKind
from broker.domain.credentials import RefreshPolicy
from broker.domain.events.log import Retention
from broker.protocol.callbacks.envelope import CallbackKeys
from broker.usecases.callbacks.decoder import CallbackSettings
from broker.usecases.mini_program import Watermark


def apps(config: Config) -> dict[str, App]:
    """Return the apps by name."""
    return {
        app.name: App(app.name, AppKind(app.kind), app.corp_id, app.agent_id or 0, app.secret, app.kinds())
        for app in config.apps
    }


def callers(config: Config) -> list[Caller]:
    """Return the callers and their rules."""
    return [
        Caller(
            caller.name,
            caller.identity or "",
            caller.token_sha256 or "",
            tuple(
                Rule(tuple(rule.apps), tuple(rule.corps), frozenset(rule.actions), tuple(rule.paths))
                for rule in caller.allow
            ),
        )
        for caller in config.callers
    ]


def refresh_policy(config: Config) -> RefreshPolicy:
    """Return when credentials are renewed."""
    return RefreshPolicy(
        config.refresh.advisory,
        timedelta(seconds=config.refresh.mandatory_seconds),
        timedelta(seconds=config.refresh.cooldown_seconds),
    )


def watermarks(config: Config) -> dict[str, Watermark]:
    """Return what DecryptData demands of the data, by app."""
    return {
        app.name: Watermark(
            app.mini_program.app_id,
            timedelta(seconds=app.mini_program.max_age_seconds) if app.mini_program.max_age_seconds else None,
        )
        for app in config.apps
        if app.mini_program
    }


def callbacks(config: Config) -> dict[str, CallbackSettings]:
    """Return how callbacks are checked, by app; apps without callbacks are left out."""
    return {
        app.name: CallbackSettings(
            CallbackKeys(app.callback.token, app.callback.aes_key),
            timedelta(seconds=app.callback.max_age_seconds) or None,
            app.callback.accept_child_receive_id,
            app.callback.check_sender,
            app.callback.accept_empty_receive_id,
        )
        for app in config.apps
        if app.callback
    }


def retention(config: Config) -> Retention:
    """Return how long events are kept."""
    return Retention(timedelta(seconds=config.events.retention_seconds), config.events.retention_count)
