"""A secret is revealed where it meets the wire, the seal or WeCom's arithmetic, and nowhere else."""

from pathlib import PurePath

from tests.architecture.sources import named, own_sources

ALLOWED = [
    "broker/config/*.py",
    "broker/config/secrets/fields.py",
    "broker/protocol/*.py",
    "broker/protocol/callbacks/*.py",
    "broker/adapters/redis/servers/connecting.py",
    "broker/adapters/storage/payload.py",
    "broker/adapters/wecom/*.py",
    "broker/server/grpc/messages.py",
    "broker/server/grpc/services/*.py",
]


def test_secrets_are_revealed_only_where_they_must_be() -> None:
    revealing = [named(path) for path in own_sources() if ".reveal()" in path.read_text(encoding="utf-8")]

    assert revealing
    assert [] == [name for name in revealing if not any(PurePath(name).match(place) for place in ALLOWED)]
