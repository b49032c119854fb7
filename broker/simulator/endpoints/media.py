"""Upload and download of files (临时素材)."""

from broker.simulator.answers import Answer, Refusal
from broker.simulator.endpoints.call import Call
from broker.simulator.endpoints.registry import endpoint
from broker.simulator.world import World
from broker.simulator.world.media import MOST_BYTES, UploadedFile
from broker.simulator.world.tokens import AppToken

# The form around the largest file needs some bytes too.
_FORM_BYTES = max(MOST_BYTES.values()) + (64 << 10)


@endpoint("POST", "/cgi-bin/media/upload", token=AppToken, form_bytes=_FORM_BYTES)
def media_upload(world: World, call: Call) -> Answer:
    """Store the file of the form's field "media" for the token's corp."""
    kind = call.parameter("type", missing=40004)
    if call.file is None:
        raise Refusal(41005)
    now = world.now()
    media_id = world.media.add(call.owner.app.corpid, kind, call.file, now)
    return {"type": kind, "media_id": media_id, "created_at": str(int(now))}


@endpoint("GET", "/cgi-bin/media/get", token=AppToken)
def media_get(world: World, call: Call) -> UploadedFile:
    """Return a file of the token's corp."""
    media_id = call.parameter("media_id", missing=40007)
    return world.media.find(call.owner.app.corpid, media_id, world.now())
