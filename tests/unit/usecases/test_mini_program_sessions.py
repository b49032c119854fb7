"""Sessions of mini-program users: whose they are, how long they live, and what they keep to themselves."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.errors import (
    AmbiguousTarget,
    AppNotShared,
    CallerLimited,
    CallerNotAllowed,
    DataRejected,
    InvalidRequest,
    SessionNotFound,
    StoreUnavailable,
)
from broker.domain.ports.wecom import LoginSession
from broker.domain.secret import Secret
from broker.domain.shares import AppShare
from broker.usecases.bindings import Bindings
from broker.usecases.login_apps import LoginApps
from broker.usecases.mini_program import MiniProgramLogins
from broker.usecases.sessions import LIFETIME, MOST_CONVERSIONS, Sessions
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_SHARE,
    CHILD_TARGET,
    CRM,
    OWN,
    PARENT,
    POLICY,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.fake_users import CountedChance, FakeUsers
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)
BOTH = replace(CRM, share_kinds=(ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN))


@pytest.fixture
def users(wecom: SimulatedWecom) -> FakeUsers:
    logins = {
        f"child{number}": LoginSession("ww-child", "wo-lisi", Secret(f"key{number}")) for number in range(50)
    }
    own = LoginSession(PARENT, "zhangsan", Secret("own-key"))
    stranger = LoginSession("ww-stranger", "wo-x", Secret("x-key"))
    return FakeUsers(wecom.is_alive, logins={**logins, "own": own, "stranger": stranger})


def sessions_of(replica: Replica, users: FakeUsers) -> MiniProgramLogins:
    return MiniProgramLogins(
        apps=LoginApps(replica.catalog, replica.core.authorizations),
        bindings=Bindings(replica.engine, replica.store, replica.clock, POLICY.cooldown),
        targets=replica.targets,
        shares=replica.shares,
        engine=replica.engine,
        users=users,
        sessions=Sessions(
            catalog=replica.catalog,
            authorizations=replica.core.authorizations,
            shares=replica.shares,
            sessions=replica.storage.sessions,
            groups=replica.storage.groups,
            counters=replica.store,
            clock=replica.clock,
            randomness=CountedChance(),
        ),
        clock=replica.clock,
        watermarks={},
    )


@pytest.fixture
def sessions(replica: Replica, users: FakeUsers) -> MiniProgramLogins:
    return sessions_of(replica, users)


def kept(world: EngineWorld) -> int:
    """Return how many sessions the store holds."""
    return sum(name.startswith("session:") for name in world.shared.records)


async def test_a_childs_member_gets_the_childs_session_made_with_the_childs_token_and_the_parents_key(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))

    assert [("ww-child", "wo-lisi", "key1")] == users.transfers
    assert ("ww-child", "child-wo-lisi", "wo-lisi", True, "child-key1") == (
        session.corp_id,
        session.user_id,
        session.source_user_id,
        session.converted,
        session.session_key.reveal(),
    )


async def test_the_parents_own_member_needs_no_conversion(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "own", None))

    assert (PARENT, "zhangsan", "", False, []) == (
        session.corp_id,
        session.user_id,
        session.source_user_id,
        session.converted,
        users.transfers,
    )


async def test_a_session_is_found_to_the_end_of_its_life_and_no_longer(
    world: EngineWorld, clock: FakeClock, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    await clock.advance(LIFETIME - SECOND)
    found = await sessions.find(session.session_id)
    await clock.advance(SECOND)

    assert session == found
    assert isinstance(await outcome(sessions.find(session.session_id)), SessionNotFound)


async def test_another_replica_finds_the_session_and_a_deleted_one_is_gone_everywhere(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    other = sessions_of(await world.start(), users)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    found = await other.find(session.session_id)
    await other.delete(session.session_id)

    assert session == found
    assert isinstance(await outcome(sessions.find(session.session_id)), SessionNotFound)


async def test_the_stores_names_do_not_tell_a_sessions_id(
    world: EngineWorld, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))

    assert 1 == kept(world)
    assert not [name for name in world.shared.records if session.session_id in name]


@pytest.mark.parametrize("session_id", ["", "x", "A" * 32, "0" * 31, "0" * 65, "session:" + "0" * 40])
async def test_what_the_broker_never_gave_is_refused_by_field(
    sessions: MiniProgramLogins, session_id: str
) -> None:
    refused = await outcome(sessions.find(session_id))

    assert isinstance(refused, InvalidRequest)
    assert "session_id" == refused.metadata["field"]


async def test_without_the_store_no_code_is_spent(
    world: EngineWorld, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    replica.store.cut()
    login = await world.run(outcome(sessions.exchange_login_code("crm", "child2", None)))
    found = await outcome(sessions.find(session.session_id))
    replica.store.mend()
    again = await world.run(sessions.exchange_login_code("crm", "child2", None))

    assert (StoreUnavailable, StoreUnavailable) == (type(login), type(found))
    assert (1, "child-key2") == (users.sent["child2"], again.session_key.reveal())


async def test_a_transfer_with_a_dead_child_token_is_sent_once_more(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    await world.run(sessions.exchange_login_code("crm", "child1", None))
    wecom.kill((await replica.engine.get(CHILD)).value)
    session = await world.run(sessions.exchange_login_code("crm", "child2", None))

    assert "child-key2" == session.session_key.reveal()
    assert ["key1", "key2", "key2"] == [key for _, _, key in users.transfers]
    assert {1} == set(users.sent.values())


async def test_a_login_that_finds_the_parents_token_dead_is_made_with_a_new_one(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    wecom.kill((await world.run(replica.engine.get(OWN))).value)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))

    assert "child-key1" == session.session_key.reveal()
    assert ({"child1": 2}, {"child1"}) == (users.sent, users.spent)


async def test_an_ambiguous_kind_of_share_is_named_by_the_requests_field_and_says_that_the_code_is_spent(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers
) -> None:
    wecom.shares.append(AppShare(ShareKind.SUPPLY_CHAIN, "ww-child", 8))
    sessions = sessions_of(await world.start(apps=[BOTH]), users)
    login = await world.run(outcome(sessions.exchange_login_code("crm", "child1", None)))
    told = await world.run(sessions.exchange_login_code("crm", "child2", ShareKind.SUPPLY_CHAIN))
    convert = await world.run(outcome(sessions.convert(CHILD_TARGET, "wo-lisi", "key3")))

    assert isinstance(login, AmbiguousTarget)
    assert isinstance(convert, AmbiguousTarget)
    assert ("share_kind", "target.share_kind") == (login.metadata["field"], convert.metadata["field"])
    assert (True, "ww-child") == ("log in again" in login.message, told.corp_id)


async def test_a_child_with_several_agent_ids_is_asked_for_by_one_and_says_that_the_code_is_spent(
    world: EngineWorld, wecom: SimulatedWecom, sessions: MiniProgramLogins
) -> None:
    wecom.shares.append(AppShare(ShareKind.CORP_GROUP, "ww-child", 8))
    login = await world.run(outcome(sessions.exchange_login_code("crm", "child1", None)))
    told = await world.run(sessions.exchange_login_code("crm", "child2", None, agent_id=8))
    another = await world.run(outcome(sessions.exchange_login_code("crm", "child3", None, agent_id=9)))

    assert isinstance(login, AmbiguousTarget)
    assert ("agent_id", True) == (login.metadata["field"], "log in again" in login.message)
    assert ("ww-child", 8) == (told.corp_id, told.agent_id)
    assert isinstance(another, AppNotShared)


async def test_what_wecom_refuses_after_the_login_is_told_as_wecom_said_it(
    world: EngineWorld, wecom: SimulatedWecom, sessions: MiniProgramLogins
) -> None:
    refusal = InvalidRequest("target", "WeCom answered with errcode 670002", errcode=670002)
    wecom.fail(Endpoint.CHILD_TOKEN, lambda: refusal)
    told = await world.run(outcome(sessions.exchange_login_code("crm", "child1", None)))

    assert isinstance(told, InvalidRequest)
    assert ("target", "670002") == (told.metadata["field"], told.metadata["errcode"])
    assert "say which" not in told.message


async def test_a_child_that_the_app_is_not_shared_with_gets_no_session(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    refused = await world.run(outcome(sessions.exchange_login_code("crm", "stranger", None)))

    assert isinstance(refused, AppNotShared)
    assert (1, [], 0) == (users.sent["stranger"], users.transfers, kept(world))


@pytest.mark.parametrize("code", ["child1", "own"])
async def test_nothing_is_kept_of_a_corp_that_the_caller_may_not_act_for(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins, code: str
) -> None:
    def refuse(corp_id: str) -> None:
        raise CallerNotAllowed("the caller may not do this", corp_id=corp_id)

    refused = await world.run(outcome(sessions.exchange_login_code("crm", code, None, refuse)))

    assert isinstance(refused, CallerNotAllowed)
    assert ([], 0) == (users.transfers, kept(world))


async def test_40_logins_of_one_user_at_once_are_40_sessions_each_with_its_own_key(
    world: EngineWorld, sessions: MiniProgramLogins
) -> None:
    logins = await world.gather(
        *(sessions.exchange_login_code("crm", f"child{number}", None) for number in range(40))
    )
    found = [await sessions.find(login.session_id) for login in logins]

    assert 40 == len({login.session_id for login in logins})
    assert [f"child-key{number}" for number in range(40)] == [
        session.session_key.reveal() for session in found
    ]


@pytest.mark.parametrize(
    ("field", "target", "user_id", "session_key"),
    [
        ("user_id", CHILD_TARGET, "", "key"),
        ("user_id", CHILD_TARGET, "x" * 65, "key"),
        ("session_key", CHILD_TARGET, "wo-lisi", ""),
        ("session_key", CHILD_TARGET, "wo-lisi", "a b"),
        ("target.corp_id", Target("crm"), "wo-lisi", "key"),
        ("target.corp_id", Target("crm", PARENT), "wo-lisi", "key"),
    ],
)
async def test_what_cannot_be_converted_is_refused_by_field(
    world: EngineWorld,
    wecom: SimulatedWecom,
    sessions: MiniProgramLogins,
    field: str,
    target: Target,
    user_id: str,
    session_key: str,
) -> None:
    refused = await world.run(outcome(sessions.convert(target, user_id, session_key)))

    assert isinstance(refused, InvalidRequest)
    assert (field, 0) == (refused.metadata["field"], wecom.count())


# --- a session ends with the share by which it was opened


async def list_anew(world: EngineWorld, replica: Replica, *shares: AppShare) -> None:
    world.wecom.shares = list(shares)
    await world.clock.jump(world.policy.cooldown)
    for app in replica.apps.values():
        await world.run(replica.lister.sync(app))
    await settle()


async def test_one_session_key_is_converted_only_so_often(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    results = [
        await world.run(outcome(sessions.convert(CHILD_TARGET, "wo-lisi", "key3")))
        for _ in range(MOST_CONVERSIONS + 20)
    ]

    assert MOST_CONVERSIONS == kept(world)
    assert {CallerLimited} == {type(result) for result in results[MOST_CONVERSIONS:]}
    assert (await world.run(sessions.convert(CHILD_TARGET, "wo-lisi", "key4"))).session_id


async def test_keys_that_wecom_refuses_leave_no_counter(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    await world.run(sessions.convert(CHILD_TARGET, "wo-lisi", "key3"))
    before = len(world.shared.counters)
    users.fail(lambda: DataRejected("WeCom does not take it"), times=50)
    for number in range(50):
        refused = await world.run(outcome(sessions.convert(CHILD_TARGET, "wo-lisi", f"made-up-{number}")))
        assert isinstance(refused, DataRejected)

    assert before == len(world.shared.counters)


async def test_a_session_dies_on_every_replica_with_the_share_and_does_not_come_back_with_it(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    other = sessions_of(await world.start(), users)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    own = await world.run(sessions.exchange_login_code("crm", "own", None))
    assert session == await other.find(session.session_id)

    for shares in ([], [CHILD_SHARE]):
        await list_anew(world, replica, *shares)
        for door in (sessions, other):
            assert isinstance(await outcome(door.find(session.session_id)), SessionNotFound)
            assert own == await door.find(own.session_id)
    again = await world.run(sessions.exchange_login_code("crm", "child2", None))

    assert again == await other.find(again.session_id)


async def test_a_session_lives_on_while_the_share_does(
    world: EngineWorld, replica: Replica, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    for name in ("one name", "another"):
        await list_anew(world, replica, replace(CHILD_SHARE, corp_name=name))

    assert session == await sessions.find(session.session_id)


async def test_a_session_dies_with_the_share_that_left_and_not_with_that_of_the_other_kind(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers
) -> None:
    chained = AppShare(ShareKind.SUPPLY_CHAIN, "ww-child", 8)
    wecom.shares.append(chained)
    replica = await world.start(apps=[BOTH])
    sessions = sessions_of(replica, users)
    by_group = await world.run(sessions.exchange_login_code("crm", "child1", ShareKind.CORP_GROUP))
    by_chain = await world.run(sessions.exchange_login_code("crm", "child2", ShareKind.SUPPLY_CHAIN))
    await list_anew(world, replica, chained)

    assert isinstance(await outcome(sessions.find(by_group.session_id)), SessionNotFound)
    assert by_chain == await sessions.find(by_chain.session_id)


async def test_a_session_dies_with_the_childs_agent_id(
    world: EngineWorld, replica: Replica, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    await list_anew(world, replica, replace(CHILD_SHARE, agent_id=8))

    assert isinstance(await outcome(sessions.find(session.session_id)), SessionNotFound)


@pytest.mark.parametrize("skew", [-SECOND / 2, 0 * SECOND, SECOND / 2])
async def test_a_session_opened_right_after_the_share_began_works_on_a_replica_that_has_not_heard_of_it(
    world: EngineWorld,
    wecom: SimulatedWecom,
    replica: Replica,
    users: FakeUsers,
    sessions: MiniProgramLogins,
    skew: timedelta,
) -> None:
    wecom.shares = []
    late = await world.start()
    await world.gather(replica.shares.all(CRM), late.shares.all(CRM))
    late.store.deaf = True
    replica.clock.skew = skew
    await list_anew(world, replica, CHILD_SHARE)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    before = wecom.count(Endpoint.SHARES)

    assert [] == late.shares.held(CRM)
    assert session == await sessions_of(late, users).find(session.session_id)
    assert before == wecom.count(Endpoint.SHARES)


async def test_a_replica_that_has_missed_everything_refuses_a_session_that_ended_meanwhile(
    world: EngineWorld, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    late = await world.start()
    await world.gather(replica.shares.all(CRM), late.shares.all(CRM))
    late.store.deaf = True
    await list_anew(world, replica)
    await list_anew(world, replica, CHILD_SHARE)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    await list_anew(world, replica)

    assert [CHILD_SHARE] == late.shares.held(CRM)
    assert isinstance(
        await world.run(outcome(sessions_of(late, users).find(session.session_id))), SessionNotFound
    )


async def test_a_listing_older_than_the_session_does_not_contradict_it(
    world: EngineWorld, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    await list_anew(world, replica)
    older = world.shared.records["shares:crm:corp_group"]
    await list_anew(world, replica, CHILD_SHARE)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    world.shared.records[older.name] = older  # a backup was played back
    cold = await world.start()

    assert session == await world.run(sessions_of(cold, users).find(session.session_id))


async def test_a_replica_without_a_listing_looks_into_the_store_once_and_asks_nobody(
    world: EngineWorld, wecom: SimulatedWecom, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    await list_anew(world, replica)
    before = wecom.count()
    cold = await world.start()
    loads: list[str] = []
    load = cold.store.load

    async def counted(names: list[str]) -> object:
        loads.extend(names)
        return await load(names)

    cold.store.load = counted  # type: ignore[method-assign, assignment]
    door = sessions_of(cold, users)
    found = await world.gather(*(outcome(door.find(session.session_id)) for _ in range(100)))

    assert {SessionNotFound} == {type(answer) for answer in found}
    assert (1, before) == (loads.count("shares:crm:corp_group"), wecom.count())


async def test_a_session_is_believed_where_no_listing_is_left_that_could_contradict_it(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    del world.shared.records["shares:crm:corp_group"]
    before = wecom.count()
    cold = await world.start()

    assert session == await sessions_of(cold, users).find(session.session_id)
    assert before == wecom.count()

    # Its first listing follows none: it cannot say that the share is younger than the session.
    await world.run(cold.shares.all(CRM))
    assert session == await sessions_of(cold, users).find(session.session_id)


async def test_a_session_ends_where_the_app_gives_up_its_kind_of_share(
    world: EngineWorld, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    without = await world.start(apps=[replace(CRM, share_kinds=(ShareKind.SUPPLY_CHAIN,))])

    assert isinstance(await outcome(sessions_of(without, users).find(session.session_id)), SessionNotFound)


async def test_a_session_that_an_older_broker_kept_lives_while_the_child_has_any_share(
    world: EngineWorld, wecom: SimulatedWecom, users: FakeUsers
) -> None:
    replica = await world.start(apps=[BOTH])
    sessions = sessions_of(replica, users)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    name = next(name for name in world.shared.records if name.startswith("session:"))
    record = world.shared.records[name]
    payload = json.loads(record.payload)
    for unknown in ("share_kind", "agent_id", "listing_fence"):
        del payload[unknown]
    world.shared.records[name] = replace(record, payload=json.dumps(payload).encode())

    await list_anew(world, replica, AppShare(ShareKind.SUPPLY_CHAIN, "ww-child", 8))
    assert session.session_key.reveal() == (await sessions.find(session.session_id)).session_key.reveal()
    await list_anew(world, replica)
    assert isinstance(await outcome(sessions.find(session.session_id)), SessionNotFound)


async def test_a_listing_that_an_older_broker_kept_is_read_and_its_shares_were_always_there(
    world: EngineWorld, replica: Replica, users: FakeUsers, sessions: MiniProgramLogins
) -> None:
    await list_anew(world, replica)
    await list_anew(world, replica, CHILD_SHARE)
    session = await world.run(sessions.exchange_login_code("crm", "child1", None))
    record = world.shared.records["shares:crm:corp_group"]
    payload = json.loads(record.payload)
    assert [0] != payload.pop("since")
    world.shared.records[record.name] = replace(record, payload=json.dumps(payload).encode())
    cold = await world.start()

    assert session == await sessions_of(cold, users).find(session.session_id)
    assert [0] == [share.since for share in cold.shares.held(CRM)]
