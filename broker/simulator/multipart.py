"""The one file in a multipart/form-data body."""

from email.message import Message
from email.parser import HeaderParser

from broker.simulator.world.media import UploadedFile


def read_file(body: bytes, content_type: str, field_name: str) -> UploadedFile | None:
    """Find the field that carries a file with a name."""
    outer = Message()
    outer["Content-Type"] = content_type
    boundary = outer.get_boundary()
    if outer.get_content_type() != "multipart/form-data" or not boundary:
        return None
    # The first delimiter has no line before it; every other one begins with the end of one.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="replace"))
    for piece in pieces[1:-1]:
        head, found, content = piece.partition(b"\r\n\r\n")
        headers = HeaderParser().parsestr(head.decode(errors="replace").lstrip("\r\n"))
        name = headers.get_param("name", header="content-disposition")
        if found and name == field_name and (file_name := headers.get_filename()):
            return UploadedFile(file_name, headers.get_content_type(), content)
    return None
