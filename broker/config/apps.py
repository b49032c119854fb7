"""`[[apps]]` by kind, and `[[providers]]`: who has secrets at WeCom, and where it calls back."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from broker.config.field_types import AgentId, ChildKind, CorpId, MiniProgramId, Name
from broker.config.secrets.fields import AnySecret, AppSecret, secret_matching
from broker.config.table import Table
from broker.domain.apps import AppKind
from broker.domain.corps import CORP_ID, ShareKind

DEFAULT_KIND = AppKind.SELF_BUILT
BEGINNINGS = {
    "ww": AppKind.THIRD_PARTY,
    "wx": AppKind.THIRD_PARTY,
    "tj": AppKind.THIRD_PARTY,
    "dk": AppKind.CUSTOMIZED,
}
"""How a suite_id begins, by kind (wecom-api B1, B15)."""


def _suite_id_of(kind: AppKind) -> AfterValidator:
    """Return a validator of the suite_id of an app of that kind."""
    begins = " or ".join(beginning for beginning, of in BEGINNINGS.items() if of is kind)

    def check(value: str) -> str:
        looks_like = BEGINNINGS.get(value[:2]) if CORP_ID.fullmatch(value) else None
        if looks_like is kind:
            return value
        seems = f'; it looks like one of kind = "{looks_like}"' if looks_like else ""
        raise ValueError(f'is no suite_id of kind = "{kind}", which begins with {begins}{seems}')

    return AfterValidator(check)


class CallbackTable(Table):
    """`callback` of a suite or a provider, and a client's callback of a 代开发 app."""

    token: Annotated[AnySecret, secret_matching("[A-Za-z0-9]{1,32}", "1 to 32 letters and digits")]
    aes_key: Annotated[
        AnySecret, secret_matching("[A-Za-z0-9+/]{43}", "the 43 characters of an EncodingAESKey")
    ]
    max_age_seconds: Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)] = 600
    accept_empty_receive_id: bool = False
    check_sender: bool = False


class AppCallbackTable(CallbackTable):
    """`callback` of a self-built app."""

    accept_child_receive_id: bool = True


class MiniProgramTable(Table):
    """`mini_program` of an app: what decrypted data must carry."""

    app_id: MiniProgramId | None = None
    max_age_seconds: Annotated[float, Field(gt=0, le=10**9, allow_inf_nan=False)] | None = None


class ProviderTable(Table):
    """One of `[[providers]]`: a company that builds apps for other corps (服务商)."""

    name: Name
    corp_id: CorpId
    secret: AppSecret
    callback: CallbackTable | None = None

    def callbacks(self) -> dict[str, CallbackTable]:
        """Return its callback by key, if it has one."""
        return {"callback": self.callback} if self.callback else {}


class SelfBuiltTable(Table):
    """One of `[[apps]]` that a corp built itself (自建应用)."""

    name: Name
    kind: Literal["self_built"] = "self_built"
    corp_id: CorpId
    agent_id: AgentId | None = None
    secret: AppSecret
    share_kinds: list[ChildKind] = ["corp_group"]
    callback: AppCallbackTable | None = None
    mini_program: MiniProgramTable | None = None

    def kinds(self) -> tuple[ShareKind, ...]:
        """Return the kinds of share to list, each once; none without an agent id."""
        return () if self.agent_id is None else _each_once(self.share_kinds)

    def callbacks(self) -> dict[str, CallbackTable]:
        """Return its callback by key, if it has one."""
        return {"callback": self.callback} if self.callback else {}


class SuiteTable(Table):
    """What third-party suites and the templates of 代开发 apps have in common."""

    name: Name
    suite_secret: AppSecret
    provider: Name
    share_kinds: list[ChildKind] = ["corp_group"]
    callback: Annotated[CallbackTable, Field(description="WeCom pushes the suite_ticket there")]
    mini_program: MiniProgramTable | None = None

    def kinds(self) -> tuple[ShareKind, ...]:
        """Return the kinds of share to list, each once."""
        return _each_once(self.share_kinds)

    def callbacks(self) -> dict[str, CallbackTable]:
        """Return its callbacks by key."""
        return {"callback": self.callback}


class ThirdPartyTable(SuiteTable):
    """One of `[[apps]]` that a provider built for all corps (第三方应用)."""

    kind: Literal["third_party"]
    suite_id: Annotated[str, _suite_id_of(AppKind.THIRD_PARTY)]


class CustomizedTable(SuiteTable):
    """One of `[[apps]]` that is the template of 代开发 apps; each client's has a callback of its own."""

    kind: Literal["customized"]
    suite_id: Annotated[str, _suite_id_of(AppKind.CUSTOMIZED)]
    corp_callback: CallbackTable | None = None
    corp_callbacks: dict[CorpId, CallbackTable] = {}

    def callbacks(self) -> dict[str, CallbackTable]:
        """Return its callbacks, and its clients', by key."""
        of_all = {"corp_callback": self.corp_callback} if self.corp_callback else {}
        of_each = {f"corp_callbacks.{corp_id}": callback for corp_id, callback in self.corp_callbacks.items()}
        return {**super().callbacks(), **of_all, **of_each}


def _each_once(kinds: list[ChildKind]) -> tuple[ShareKind, ...]:
    return tuple(ShareKind(kind) for kind in dict.fromkeys(kinds))


def _kind_of(given: object) -> str:
    return str(given.get("kind", DEFAULT_KIND)) if isinstance(given, Mapping) else DEFAULT_KIND


AppTable = Annotated[
    Annotated[SelfBuiltTable, Tag("self_built")]
    | Annotated[ThirdPartyTable, Tag("third_party")]
    | Annotated[CustomizedTable, Tag("customized")],
    Discriminator(_kind_of),
]
