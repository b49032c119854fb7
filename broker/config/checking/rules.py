"""Rules that are valid and probably not intended."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from broker.config.callers import CallerTable, RuleTable
from broker.config.checking.wording import did_you_mean
from broker.config.schema import Config
from broker.domain.access import Action
from broker.domain.corps import CORP_ID
from broker.protocol.api_paths import DOWNLOAD, UPLOAD, is_path, why_closed

WILD = re.compile(r"[*?]|\[[^\]]*\]")


def rule_warnings(config: Config) -> Iterator[str]:
    """Yield one line for each, the key first."""
    names = {owner.name for owner in (*config.apps, *config.providers)}
    for position, caller in enumerate(config.callers):
        key = f"callers[{position}].allow"
        if not caller.allow:
            yield f"{key}: is missing or empty, so {caller.name} may do nothing"
        yield from _useless(key, caller)
        for number, rule in enumerate(caller.allow):
            yield from _one(f"{key}[{number}]", rule, names)


def _one(key: str, rule: RuleTable, names: set[str]) -> Iterator[str]:
    for pattern in rule.apps:
        if pattern != "*" and not any(fnmatchcase(name, pattern) for name in names):
            yield f"{key}.apps: no app {pattern!r} is configured{did_you_mean(pattern, names)}"
    for pattern in rule.corps:
        # With a letter for what is wild, the pattern must be able to be an id.
        if not CORP_ID.fullmatch(WILD.sub("a", pattern)):
            yield f"{key}.corps: {pattern!r} matches no corp id"
    if Action.API_CALL in rule.actions and not rule.paths:
        yield f'{key}.paths: api.call is allowed for no path; name some, or all by ["*"]'
    if rule.paths and Action.API_CALL not in rule.actions:
        yield f"{key}.paths: count for api.call alone, which is not among the actions"
    for path in rule.paths:
        plain = WILD.sub("a", path)
        if path != "*" and not is_path(plain):
            yield f"{key}.paths: {path!r} matches no path of WeCom, which begins with /cgi-bin/"
        elif plain == path and path not in (UPLOAD, DOWNLOAD) and (why := why_closed(path)):
            yield f"{key}.paths: CallApi refuses {path} for everybody: it {why}"
    if Action.MINIPROGRAM_SESSION_KEY in rule.actions and "*" in rule.apps:
        yield f"{key}.apps: miniprogram.session_key for all apps covers apps to come; name those meant"


def _useless(key: str, caller: CallerTable) -> Iterator[str]:
    for number, rule in enumerate(caller.allow):
        for other, wider in enumerate(caller.allow):
            if other != number and _covers(wider, rule) and (other < number or not _covers(rule, wider)):
                yield f"{key}[{number}]: allows nothing that {key}[{other}] does not allow"
                break


def _covers(wider: RuleTable, rule: RuleTable) -> bool:
    """Return whether all that a rule allows is allowed by another one, as far as their patterns tell."""

    def within(these: list[str], those: list[str]) -> bool:
        return "*" in those or set(these) <= set(those)

    return (
        within(rule.apps, wider.apps)
        and within(rule.corps, wider.corps)
        and set(rule.actions) <= set(wider.actions)
        and (Action.API_CALL not in rule.actions or within(rule.paths, wider.paths))
    )
