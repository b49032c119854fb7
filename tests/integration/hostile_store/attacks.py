"""What somebody who writes to Redis does to all that a fleet keeps there: to every key of a kind at once."""

import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from redis.asyncio import Redis

from broker.adapters.redis.keys import TYPES, RedisKeys
from tests.kit.processes.fleet import PREFIX

NUMBERS = ["abc", "", "-5", "1.5", "nan", "inf", "1e300", str(2**53), str(2**63), "9" * 400, "1" + "0" * 14]
PAYLOADS = [
    b"",
    b"x",
    b"\x00" * 40,
    b"\x02k1" + b"\x00" * 40,
    b"\x02k9" + b"\x00" * 40,
    b"\xff" * 300,
    b"z" * 2_000_000,
]
NAMES: list[str | bytes] = ["", "ww-nobody", b"\xff\xfe", "x" * 10_000, '["\\ud800","g","1-1","k1"]', "\x00"]
TIMES = ["inf", "-inf", "1e300", "0", "-1"]
KINDS = ["committed", "forgotten", "released", "appended", "available"]
ODD_NOTICES = [
    "",
    "committed",
    "connected 0 ",
    "forgotten -1 x",
    f"appended {'9' * 400} x",
    b"\xff\xfe",
    "x" * 100_000,
]


@dataclass
class Loot:
    """What the attacker kept of an earlier state: fields of records, and entries of event logs."""

    records: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    entries: dict[str, list[tuple[bytes, dict[bytes, bytes]]]] = field(default_factory=dict)


Attack = Callable[[Redis, Mapping[str, list[str]], Loot], Awaitable[None]]


async def keys_by_part(redis: Redis) -> dict[str, list[str]]:
    """Return all keys by what they are: record, lease, tally and so on."""
    found: dict[str, list[str]] = {part: [] for part in TYPES}
    async for key in redis.scan_iter(match=f"{PREFIX}:*", count=1000):
        name = key.decode()
        part = name.rpartition("}:")[2].partition(":")[0]
        assert part in TYPES, name
        found[part].append(name)
    return found


async def loot(redis: Redis) -> Loot:
    """Keep what is there now."""
    keys = await keys_by_part(redis)
    return Loot(
        {key: await redis.hgetall(key) for key in keys["record"]},
        {key: await redis.xrange(key) for key in keys["log"]},
    )


def deleted(part: str) -> Attack:
    async def attack(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
        for key in keys[part]:
            await redis.delete(key)

    return attack


def another_type(part: str) -> Attack:
    async def attack(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
        for key in keys[part]:
            await redis.delete(key)
            await (redis.set(key, "x") if RedisKeys.type_of(key) != "string" else redis.lpush(key, "x"))

    return attack


def numbers(part: str) -> Attack:
    """Put each odd number into each field that is none of a payload; of a counter, into itself."""

    async def attack(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
        for place, key in enumerate(keys[part]):
            if TYPES[part] == "string":
                await redis.set(key, NUMBERS[place % len(NUMBERS)], px=30_000)
                continue
            for number, name in enumerate(await redis.hkeys(key), start=place):
                if name != b"payload":
                    await redis.hset(key, name, NUMBERS[number % len(NUMBERS)])

    return attack


async def payloads(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
    for place, key in enumerate(keys["record"]):
        await redis.hset(key, "payload", PAYLOADS[place % len(PAYLOADS)])


async def swapped(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
    """Give each record the payload of the next one."""
    held = {key: payload for key in keys["record"] if (payload := await redis.hget(key, "payload"))}
    first, *others = held.values()
    for key, payload in zip(held, [*others, first], strict=True):
        await redis.hset(key, "payload", payload)


def put_back(raised: int | None) -> Attack:
    """Put back what the records were, under the number that they had, or under a much higher one."""

    async def attack(redis: Redis, keys: Mapping[str, list[str]], kept: Loot) -> None:
        for key, fields in kept.records.items():
            if b"fence" not in fields:
                continue  # a lease alone
            again = {**fields, **({b"fence": str(raised).encode()} if raised else {})}
            await redis.hset(key, mapping=again)  # type: ignore[arg-type]
            await redis.publish(f"{PREFIX}:notices", f"committed {again[b'fence'].decode()} {_name_of(key)}")

    return attack


async def buried(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
    """Leave a tombstone in the place of each record, and tell everybody."""
    for key in keys["record"]:
        await redis.hset(key, mapping={"fence": 10**14, "payload": ""})
        await redis.publish(f"{PREFIX}:notices", f"forgotten {10**14} {_name_of(key)}")


def names(part: str) -> Attack:
    """Add odd names with odd times; move each third name that is there."""

    async def attack(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
        for key in keys[part]:
            for place, name in enumerate(await redis.zrange(key, 0, -1)):
                if place % 3 == 0 and part != "index":
                    await redis.zadd(key, {name: TIMES[place % len(TIMES)]})
            for place, odd in enumerate(NAMES):
                for letter in "" if part == "names" else "owhrdsa":
                    item = letter.encode() + (odd.encode() if isinstance(odd, str) else odd)
                    await redis.zadd(key, {item: "0" if part == "index" else TIMES[place % len(TIMES)]})
                await redis.zadd(key, {odd: "0" if part == "index" else TIMES[place % len(TIMES)]})

    return attack


async def entries(redis: Redis, keys: Mapping[str, list[str]], kept: Loot) -> None:
    """Add entries of other forms, and true ones once more: under their corp, and under another."""
    for key in keys["log"]:
        for odd in (
            {"x": "y"},
            {"payload": b"\xff", "corp": b"\xff"},
            {"number": "9" * 400, "corp": "", "type": ""},
        ):
            await redis.xadd(key, odd)
        for _, fields in kept.entries.get(key, [])[:3]:
            await redis.xadd(key, fields)
            await redis.xadd(key, {**fields, b"corp": b"ww-nobody"})


async def leased(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
    """Take the lease of everything, for an hour."""
    for key in keys["record"]:
        await redis.set(f"{key.removesuffix('record')}lease", "forged", px=3_600_000)


async def everlasting(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
    for found in keys.values():
        for key in found:
            await redis.persist(key)


async def notices(redis: Redis, keys: Mapping[str, list[str]], _: Loot) -> None:
    """Tell of everything that it was committed, forgotten …, under odd numbers; and other things."""
    for key in keys["record"]:
        for kind in KINDS:
            for number in (0, 10**14, 2**63 - 1):
                await redis.publish(f"{PREFIX}:notices", f"{kind} {number} {_name_of(key)}")
    for odd in [*ODD_NOTICES, *(f"{kind} 1 events:{secrets.token_hex(4)}" for kind in KINDS)]:
        await redis.publish(f"{PREFIX}:notices", odd)


def _name_of(key: str) -> str:
    return key.removeprefix(f"{PREFIX}:{{").rpartition("}:")[0]


ATTACKS: dict[str, Attack] = {
    **{f"{part} deleted": deleted(part) for part in TYPES},
    **{f"{part} of another type": another_type(part) for part in TYPES},
    **{f"numbers of {part}": numbers(part) for part in ("record", "head", "state", "tally")},
    **{f"names of {part}": names(part) for part in ("names", "groups", "index", "times")},
    "payloads": payloads,
    "swapped": swapped,
    "put back": put_back(None),
    "put back under a higher number": put_back(10**14),
    "buried": buried,
    "entries": entries,
    "leased": leased,
    "everlasting": everlasting,
    "notices": notices,
}

SOME = list(ATTACKS)[::4]
"""Of each group of attacks above some, each on another part, and some of those that stand alone."""

TRIED = list(ATTACKS) if os.environ.get("HOSTILE_STORE") == "all" else SOME
"""`make fuzz` tries all."""
