"""`EventService`: events for the services that subscribe."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import aclosing
from datetime import timedelta

from wecom_broker.v1 import event_service_pb2 as pb
from wecom_broker.v1 import event_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.errors import InvalidRequest
from broker.domain.events.event import app_and_position, event_id
from broker.domain.events.log import owner_of
from broker.domain.suites.catalog import Catalog
from broker.server.grpc import event_messages, messages
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.open_streams import sent
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.usecases.events.feed import EventFeed, SubscriptionOptions


class EventServicer(pb_grpc.EventServiceServicer):
    """Parse, ask `EventFeed`, reply. A group belongs to its caller, so no caller gets another's events."""

    def __init__(
        self,
        feed: EventFeed,
        catalog: Catalog,
        rights: Rights,
        called_back: Collection[str],
        ack_timeout: timedelta,
    ) -> None:
        self._feed = feed
        self._catalog = catalog
        self._rights = rights
        self._called_back = called_back
        self._ack_timeout = ack_timeout

    @requires(Action.EVENT_SUBSCRIBE, of=Of.HANDLER)
    async def SubscribeEvents(
        self, request: pb.SubscribeEventsRequest, context: Context
    ) -> AsyncIterator[pb.SubscribeEventsResponse]:
        """Stream events to a member of a group, or to an observer without a group."""
        options = self._options(request)
        if request.group:
            deliveries = self._feed.subscribe(_group(request.group), options)
        else:
            deliveries = self._feed.observe(options)
        async with aclosing(deliveries) as stream:
            await anext(stream)
            # A subscription may be silent for hours: the metadata tells the caller that it is open.
            await sent(context.send_initial_metadata(()))
            async for delivery in stream:
                if delivery:
                    found = event_messages.event(delivery.event)
                    yield pb.SubscribeEventsResponse(event=found, delivery_count=delivery.count)

    @requires(Action.EVENT_SUBSCRIBE, of=Of.HANDLER)
    async def AcknowledgeEvents(
        self, request: pb.AcknowledgeEventsRequest, context: Context
    ) -> pb.AcknowledgeEventsResponse:
        """Mark events as handled."""
        self._rights.grant_somewhere()
        group, ids = _group(request.group), event_messages.event_ids(request.event_ids)
        count = await self._feed.acknowledge(group, ids, self._called_back)
        return pb.AcknowledgeEventsResponse(acknowledged_count=count)

    @requires(Action.EVENT_SUBSCRIBE, of=Of.HANDLER)
    async def ListDeadEvents(
        self, request: pb.ListDeadEventsRequest, context: Context
    ) -> pb.ListDeadEventsResponse:
        """Return one page of the events that the group gave up."""
        app = self._app("app", request.app)
        group = self._any_group(request.group, Action.ADMIN_READ, [app])
        size, after = messages.page_size_of(request.page_size), messages.read_token(request.page_token)
        if after:
            app_and_position("page_token", event_id(app, after))
        found = await self._feed.dead(group, app, after, size + 1)
        may_see = self._rights.visible()
        visible = [event for event in found[:size] if may_see(app, event.corp_id)]
        shown = messages.fitting(map(event_messages.event, visible))
        if len(shown) < len(visible):
            last = visible[len(shown) - 1].position
        else:
            last = found[size - 1].position if len(found) > size else ""
        return pb.ListDeadEventsResponse(events=shown, next_page_token=messages.token(last))

    @requires(Action.EVENT_SUBSCRIBE, of=Of.HANDLER, operates=True)
    async def RetryDeadEvents(
        self, request: pb.RetryDeadEventsRequest, context: Context
    ) -> pb.RetryDeadEventsResponse:
        """Deliver events again that the group gave up."""
        self._rights.grant_somewhere()
        ids = event_messages.event_ids(request.event_ids)
        apps = [app_and_position(f"event_ids[{index}]", given)[0] for index, given in enumerate(ids)]
        group = self._any_group(request.group, Action.ADMIN_REFRESH, apps)
        count = await self._feed.retry(group, ids, self._called_back)
        return pb.RetryDeadEventsResponse(retried_count=count)

    def _options(self, request: pb.SubscribeEventsRequest) -> SubscriptionOptions:
        named = tuple(
            dict.fromkeys(self._app(f"apps[{position}]", name) for position, name in enumerate(request.apps))
        )
        present = self._these(named) if named else self._all_apps()
        apps = present()
        return SubscriptionOptions(
            apps=apps,
            event_types=event_messages.event_types(request.event_types),
            replay_from=event_messages.replay_from(request, apps),
            max_in_flight=event_messages.max_in_flight(request.max_in_flight),
            ack_timeout=event_messages.ack_timeout(request, self._ack_timeout),
            may_see=self._rights.visible(),
            may_see_some=self._rights.visible_somewhere(),
            present=present,
        )

    def _all_apps(self) -> Callable[[], tuple[str, ...]]:
        """Return what tells, at any time, all apps whose events the caller may have; it raises if none."""
        self._rights.grant_somewhere()
        present = self._rights.among(self._called_back)

        def all_apps() -> tuple[str, ...]:
            if found := present():
                return found
            raise InvalidRequest(
                "apps", "has no callback in the configuration, whichever the caller may have"
            )

        return all_apps

    def _these(self, apps: tuple[str, ...]) -> Callable[[], tuple[str, ...]]:
        """Return what tells, at any time, that these apps have events; it raises if one has none any more."""

        def these() -> tuple[str, ...]:
            for app in apps:
                self._catalog.owner(app)
                if app not in self._called_back:
                    raise InvalidRequest("apps", "has no callback in the configuration any more", app=app)
            return apps

        return these

    def _any_group(self, given: str, action: Action, apps: Iterable[str]) -> str:
        """Return the group's name in the log; another caller's, CALLER/GROUP, needs the right to the action.

        Raises `CallerNotAllowed`, `InvalidRequest`.
        """
        if "/" not in given:
            return _group(given)
        group = event_messages.full_group_name(given)
        if owner_of(group) != current_caller.get().name:
            for app in dict.fromkeys(apps) or ("",):
                self._rights.check_other(action, app)
        return group

    def _app(self, field: str, name: str) -> str:
        """Return the name of an app whose events the caller may have somewhere."""
        app = self._catalog.owner(messages.app_name(field, name)).name
        self._rights.grant_somewhere(app)
        if app not in self._called_back:
            raise InvalidRequest(field, "has no callback in the configuration")
        return app


def _group(given: str) -> str:
    return event_messages.group_name(current_caller.get().name, given)
