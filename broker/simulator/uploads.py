"""The one file in a multipart form."""

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from broker.simulator.world.media import UploadedFile


async def read_upload(request: web.Request, field_name: str, most_bytes: int) -> UploadedFile | None:
    """Return the file of the field with this name; None if there is no form, or a broken one.

    Raises HTTPRequestEntityTooLarge for more than `most_bytes`.
    """
    size = request.content_length or 0
    if size > most_bytes:
        raise web.HTTPRequestEntityTooLarge(most_bytes, size)
    if request.content_type != "multipart/form-data":
        return None
    too_large = web.HTTPRequestEntityTooLarge
    try:
        form = MultipartReader(
            request.headers, request.content, client_max_size=most_bytes, max_size_error_cls=too_large
        )
        async for part in form:
            if isinstance(part, BodyPartReader) and part.name == field_name and part.filename:
                content_type = part.headers.get("Content-Type", "application/octet-stream")
                return UploadedFile(part.filename, content_type, bytes(await part.read()))
    except (ValueError, BadHttpMessage):
        pass
    return None
