"""Convert messages about events to domain values, and back. Malformed fields are refused here, by name."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from wecom_broker.v1 import event_service_pb2 as pb

from broker.domain.apps import APP_NAME
from broker.domain.errors import InvalidRequest
from broker.domain.events.event import Event, app_and_position
from broker.domain.events.positions import position_at
from broker.server.grpc.messages import SHARE_KINDS_OUT

DEFAULT_ROOM, LARGEST_ROOM = 100, 1000
MOST_IDS, MOST_TYPES = 1000, 100
EVENT_TYPE = re.compile(r"[A-Za-z0-9_]{1,64}")
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = timedelta(seconds=1), timedelta(hours=1)


def event(found: Event) -> pb.Event:
    """Return the message of an event."""
    return pb.Event(
        event_id=found.event_id,
        app=found.app,
        corp_id=found.corp_id,
        share_kind=SHARE_KINDS_OUT[found.share_kind] if found.share_kind else None,
        agent_id=found.agent_id,
        user_id=found.user_id,
        event_type=found.event_type,
        change_type=found.change_type,
        create_time=found.create_time,
        receive_time=found.receive_time,
        fields=found.fields,
        xml=found.xml,
        corp_unknown=found.corp_unknown,
    )


def group_name(caller: str, given: str) -> str:
    """Return the group's name in the log: each caller has groups of its own. Raises `InvalidRequest`."""
    if not given:
        raise InvalidRequest("group", "is required")
    if not APP_NAME.fullmatch(given):
        raise InvalidRequest("group", "is not a name: letters, digits, '.', '_', '-', at most 64")
    return f"{caller}/{given}"


def full_group_name(given: str) -> str:
    """Return a group's name in the log, given as its caller and its name. Raises `InvalidRequest`."""
    caller, _, name = given.rpartition("/")
    if not APP_NAME.fullmatch(caller):
        raise InvalidRequest("group", "is not CALLER/GROUP, as ListEventGroups has it")
    return group_name(caller, name)


def event_types(given: Sequence[str]) -> frozenset[str]:
    """Return the requested types; none = all. Raises `InvalidRequest`."""
    if len(given) > MOST_TYPES:
        raise InvalidRequest("event_types", f"are more than {MOST_TYPES}")
    for position, name in enumerate(given):
        if not EVENT_TYPE.fullmatch(name):
            raise InvalidRequest(f"event_types[{position}]", "is not an event's type")
    return frozenset(given)


def event_ids(given: Sequence[str]) -> Sequence[str]:
    """Return the ids. Raises `InvalidRequest`."""
    if len(given) > MOST_IDS:
        raise InvalidRequest("event_ids", f"are more than {MOST_IDS}")
    return given


def replay_from(request: pb.SubscribeEventsRequest, apps: Sequence[str]) -> dict[str, str]:
    """Return the positions to replay from, by app. Raises `InvalidRequest`."""
    if request.HasField("replay_from_time"):
        if request.replay_from_event_id:
            raise InvalidRequest("replay_from_event_id", "goes not with replay_from_time")
        try:
            moment = request.replay_from_time.ToDatetime(UTC)
            position = position_at(max(moment, datetime.fromtimestamp(0, UTC)))
        except (ValueError, OverflowError):
            raise InvalidRequest("replay_from_time", "is not a time") from None
        return dict.fromkeys(apps, position)
    if not request.replay_from_event_id:
        return {}
    app, position = app_and_position("replay_from_event_id", request.replay_from_event_id)
    if app not in apps:
        raise InvalidRequest("replay_from_event_id", "is of an app that is not subscribed to")
    return {app: position}


def max_in_flight(given: int) -> int:
    """Return how many events may be in flight. Raises `InvalidRequest`."""
    if given < 0 or given > LARGEST_ROOM:
        raise InvalidRequest("max_in_flight", f"must be between 1 and {LARGEST_ROOM}")
    return given or DEFAULT_ROOM


def ack_timeout(request: pb.SubscribeEventsRequest, default: timedelta) -> timedelta:
    """Return how long events may be held without an acknowledgement. Raises `InvalidRequest`."""
    if not request.HasField("ack_timeout"):
        return default
    try:
        given = request.ack_timeout.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidRequest("ack_timeout", "is not a duration") from None
    if not SHORTEST_TIMEOUT <= given <= LONGEST_TIMEOUT:
        raise InvalidRequest("ack_timeout", "must be between a second and an hour")
    return given
