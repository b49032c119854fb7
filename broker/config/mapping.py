"""The configuration in the terms of the domain and the use cases."""

from datetime import timedelta

from broker.config.apps import AppCallbackTable, CallbackTable, CustomizedTable, SelfBuiltTable
from broker.config.schema import Config
from broker.domain.access import Caller, Limits, Rule
from broker.domain.apps import App, AppKind
from broker.domain.credentials import RefreshPolicy
from broker.domain.events.log import Retention
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.protocol.callbacks.envelope import CallbackKeys
from broker.usecases.callbacks.settings import CallbackSettings, ClientCallbacks
from broker.usecases.mini_program import Watermark


def catalog(config: Config) -> Catalog:
    """Return who has secrets at WeCom, by name."""
    providers = {
        provider.name: Provider(provider.name, provider.corp_id, provider.secret)
        for provider in config.providers
    }
    suites = {
        suite.name: Suite(
            suite.name,
            AppKind(suite.kind),
            suite.suite_id,
            suite.suite_secret,
            providers[suite.provider],
            suite.kinds(),
        )
        for suite in config.apps
        if not isinstance(suite, SelfBuiltTable)
    }
    return Catalog(apps(config), suites, providers)


def apps(config: Config) -> dict[str, App]:
    """Return the self-built apps by name."""
    return {
        app.name: App(app.name, AppKind(app.kind), app.corp_id, app.agent_id or 0, app.secret, app.kinds())
        for app in config.apps
        if isinstance(app, SelfBuiltTable)
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
            Limits(**caller.limits.model_dump()),
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
    """Return how callbacks are checked, by app, suite and provider; those without are left out."""
    return {
        owner.name: _settings(owner.callback) for owner in (*config.apps, *config.providers) if owner.callback
    }


def client_callbacks(config: Config) -> dict[str, ClientCallbacks]:
    """Return how the callbacks of 代开发 clients are checked, by app."""
    return {
        app.name: ClientCallbacks(
            _settings(app.corp_callback) if app.corp_callback else None,
            {corp_id: _settings(callback) for corp_id, callback in app.corp_callbacks.items()},
        )
        for app in config.apps
        if isinstance(app, CustomizedTable)
    }


def _settings(callback: CallbackTable) -> CallbackSettings:
    return CallbackSettings(
        CallbackKeys(callback.token, callback.aes_key),
        timedelta(seconds=callback.max_age_seconds) or None,
        isinstance(callback, AppCallbackTable) and callback.accept_child_receive_id,
        callback.check_sender,
        callback.accept_empty_receive_id,
    )


def retention(config: Config) -> Retention:
    """Return how long events are kept."""
    return Retention(timedelta(seconds=config.events.retention_seconds), config.events.retention_count)
