"""WeCom's endpoint for app shares (应用共享)."""

from broker.adapters.wecom.call import Answer, Call
from broker.adapters.wecom.client import WecomClient
from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.credentials import Credential
from broker.domain.errors import WecomProtocol
from broker.domain.shares import AppShare, ListedShares
from broker.protocol.wecom_json import is_whole

MOST_PAGES = 1000
PAGE_SIZE = 100
"""The largest page that WeCom gives (wecom-api A2)."""


class ShareEndpoints:
    """Ask WeCom whom an app is shared with."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> ListedShares:
        """List all shares of one kind, page by page, until `ending` or no new cursor (wecom-api A2)."""
        path = "/cgi-bin/corpgroup/corp/list_app_share_info"
        pages: list[ListedShares] = []
        cursors = {""}
        cursor = ""
        for _ in range(MOST_PAGES):
            body: dict[str, object] = {
                "agentid": parent.key.agent_id,
                "business_type": share_kind.business_type,
                "limit": PAGE_SIZE,
            }
            if cursor:
                body["cursor"] = cursor
            answer = await self._client.send(Call("POST", path, parent, body=body))
            pages.append(_page(answer, share_kind))
            cursor = str(answer.fields.get("next_cursor") or "")
            if answer.fields.get("ending") in (1, True, "1") or cursor in cursors:
                return ListedShares.of_pages(pages)
            if not is_whole(cursor):
                raise answer.unreadable("has no usable next_cursor")
            cursors.add(cursor)
        raise WecomProtocol(f"WeCom's listing has over {MOST_PAGES} pages", endpoint=path)


def _page(answer: Answer, share_kind: ShareKind) -> ListedShares:
    """Return a page's shares; only entries that cannot be read are left out."""
    entries = answer.entries("corp_list") if answer.fields.get("corp_list") else []
    shares = [share for entry in entries if (share := _share(entry, share_kind))]
    if entries and not shares:
        raise answer.unreadable("has a corp_list in which nothing can be read")
    return ListedShares(tuple(shares), unreadable=len(entries) - len(shares))


def _share(entry: object, share_kind: ShareKind) -> AppShare | None:
    if not isinstance(entry, dict):
        return None
    corp_id = str(entry.get("corpid", ""))
    try:
        agent_id = int(entry["agentid"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    if not CORP_ID.fullmatch(corp_id) or not 0 < agent_id < 2**63:
        return None
    return AppShare(share_kind, corp_id, agent_id, str(entry.get("corp_name") or ""))
