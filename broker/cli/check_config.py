"""`check-config`: what is wrong with a configuration, and what its rules allow."""

from datetime import UTC, datetime
from pathlib import Path

import click

from broker.cli.configuration import config_option, insecure_option, load_hidden, refuse
from broker.cli.ending import fail
from broker.cli.json_line import print_json
from broker.cli.serving.workers import CONFIG_UNUSABLE
from broker.config import mapping
from broker.config.checking.warnings import warnings
from broker.config.checking.wording import did_you_mean
from broker.config.load import ConfigError
from broker.config.schema import Config
from broker.domain.access import Action
from broker.domain.caller_policy import CallerPolicy
from broker.server.grpc.entry.subjects import Subjects

NONE = "-"


@click.command("check-config")
@config_option
@insecure_option
@click.option(
    "--explain",
    nargs=4,
    metavar="CALLER ACTION APP CORP",
    help="Say which rule decides; '-' for CORP is the app's own corp, for APP all apps together.",
)
@click.option("--path", "api_path", default="", help="The path of WeCom, to explain api.call.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_config(
    path: Path, insecure: bool, explain: tuple[str, str, str, str] | None, api_path: str, as_json: bool
) -> None:
    """Check the configuration and report every mistake, by key; connect to nothing.

    Settings that are valid and probably not intended are warnings: the exit code stays 0. With --explain it
    is 0 if the caller may do that, 1 if not, 2 if no such caller, action or app is known.
    """
    try:
        config = load_hidden(path, insecure=insecure)
    except ConfigError as error:
        if not as_json:
            refuse(path, error)
        print_json({"ok": False, "mistakes": _by_key(error.problems)})
        raise SystemExit(CONFIG_UNUSABLE) from None
    if explain:
        _explain(config, *explain, api_path, as_json=as_json)
        return
    found = warnings(config, datetime.now(UTC))
    names = [app.name for app in config.apps]
    if as_json:
        print_json({"ok": True, "apps": names, "store": config.store.place, "warnings": _by_key(found)})
        return
    for warning in found:
        click.echo(f"warning: {warning}", err=True)
    store = config.store.place.partition(":")[0]
    click.echo(f"{path} is fine: {len(names)} app(s) ({', '.join(names)}), store {store}")


def _by_key(problems: list[str]) -> list[dict[str, str]]:
    parts = (problem.partition(": ") for problem in problems)
    return [{"key": key, "message": message} for key, _, message in parts]


def _explain(
    config: Config, caller_name: str, action_name: str, app: str, corp: str, path: str, *, as_json: bool
) -> None:
    """Print which rule decides; exit with 1 if the caller may not."""
    policy, subjects = CallerPolicy(mapping.callers(config)), Subjects.of(mapping.catalog(config))
    if policy.is_open:
        problem = "no callers are configured: everybody on this machine may do everything"
        fail(f"--explain: {problem}", code=CONFIG_UNUSABLE)
    position = _position("caller", caller_name, [caller.name for caller in policy.callers])
    caller = policy.callers[position]
    actions = list(Action)
    declared = actions[_position("action", action_name, [str(action) for action in actions])]
    app = "" if app == NONE else app
    if app:
        _position("app", app, [owner.name for owner in mapping.catalog(config).owners()])
    corp_id = subjects.corp(app, "" if corp == NONE else corp)
    action = subjects.action(declared, app, "" if corp == NONE else corp)
    if action is Action.API_CALL and not path:
        fail("--explain of api.call needs --path, such as --path /cgi-bin/user/get", code=CONFIG_UNUSABLE)
    decision = policy.explain(caller, action, app, corp_id, path)
    rules = f"callers[{position}].allow"
    misses = [
        {"rule": f"{rules}[{number}]", "keys": list(keys)} for number, keys in enumerate(decision.misses)
    ]
    asked = {"caller": caller.name, "action": str(action), "app": app, "corp_id": corp_id, "path": path}
    if as_json:
        rule = None if decision.rule is None else f"{rules}[{decision.rule}]"
        print_json({**asked, "allowed": decision.allowed, "rule": rule, "misses": misses})
    else:
        what = " ".join(f"{name}={value}" for name, value in asked.items() if value)
        if decision.allowed:
            click.echo(f"allowed by {rules}[{decision.rule}]: {what}")
        else:
            click.echo(f"denied, no rule of {caller.name} covers it: {what}")
        for miss in misses:
            click.echo(f"  {miss['rule']} does not cover it by: {', '.join(miss['keys'])}")
    if not decision.allowed:
        raise SystemExit(1)


def _position(what: str, name: str, known: list[str]) -> int:
    """Return where the name is in the list, or end the command."""
    if name not in known:
        guess = did_you_mean(name, known)
        fail(f"--explain: no {what} {name!r} is known{guess}", code=CONFIG_UNUSABLE)
    return known.index(name)
