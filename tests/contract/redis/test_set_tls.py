"""Sentinel and Cluster over TLS, with users: what a set tells of its servers is reached by TLS too."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from broker.adapters.redis.client import connect_redis
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.config.store_url import redis_address
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.secret import Secret
from broker.domain.stores.redis_address import Login, Logins
from tests.contract.events import append
from tests.contract.making import held, record, taken
from tests.contract.observer import Notebook
from tests.contract.redis.test_access import PASSWORD
from tests.contract.redis.test_set_access import (
    AT_SENTINELS,
    BROKER,
    OF_A_CLUSTER,
    OF_THE_LOG,
    OF_WAITING,
    RIGHTS,
    add_user,
)
from tests.contract.redis.test_sets import NAMES
from tests.contract.waiting import listening
from tests.kit.processes.certificates import Authority
from tests.kit.processes.redis_sets import STEADY_MS, ClusterSet, SentinelSet
from tests.kit.processes.tls_fronts import TlsFronts

USER = f"{BROKER.user}:{quote(PASSWORD, safe='')}"
EVERYTHING = [*RIGHTS, *OF_THE_LOG, *OF_WAITING]


@pytest.fixture(autouse=True)
def _patient(patient_client: None) -> None:
    """A busy machine is no outage."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CA, and the folder with a certificate of it for the servers."""
    folder = tmp_path_factory.mktemp("ca")
    found = Authority()
    found.sign(address="127.0.0.1").write(folder, "server")
    return found.write(folder)


@pytest.fixture(scope="module")
def fronts(authority: str) -> Iterator[TlsFronts]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = Path(authority).parent
    context.load_cert_chain(folder / "server.pem", folder / "server.key.pem")
    with TlsFronts(context) as found:
        yield found


@pytest.fixture(scope="module", params=["sentinel", "cluster"])
def secure_set(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fronts: TlsFronts
) -> Iterator[SentinelSet | ClusterSet]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sentinel":
        with SentinelSet(folder, front=fronts.before, down_after_ms=STEADY_MS) as sentinels:
            for server in sentinels.servers:
                add_user(server.port, BROKER, *EVERYTHING)
            for port in sentinels.ports:
                add_user(port, BROKER, *AT_SENTINELS)
            yield sentinels
    else:
        with ClusterSet(folder, front=fronts.before, down_after_ms=STEADY_MS) as members:
            for server in members.servers:
                add_user(server.port, BROKER, *EVERYTHING, *OF_A_CLUSTER)
            yield members


@pytest.mark.slow
async def test_everything_works_over_tls_with_a_user(
    secure_set: SentinelSet | ClusterSet, fronts: TlsFronts, authority: str
) -> None:
    before = fronts.secure.copy()
    url = f"{secure_set.url_as(USER, 'rediss')}?ssl_ca_certs={authority}"
    notebook = Notebook()
    async with connect_redis(redis_address(Secret(url)), Logins(BROKER, BROKER), notebook) as client:
        store = RedisStore(client, "access", SystemClock(), notebook)
        async with listening(store) as ear:
            for name in NAMES:
                lease = await taken(store, name)
                assert await store.commit(record(lease.fence, name=name), lease)
                assert Notice(NoticeKind.COMMITTED, name, lease.fence) == await ear.next()
                assert (lease.fence, b"payload") == await held(store, name)
        await append(RedisEventLog(client, "access", notebook, replicas_acknowledge=1))

    used = fronts.secure - before
    if isinstance(secure_set, SentinelSet):
        assert used[secure_set.primary().port]
        assert any(used[port] for port in secure_set.ports)
    else:
        assert len([server for server in secure_set.servers if used[server.port]]) > 1
    assert [] == notebook.told


@pytest.mark.slow
async def test_a_set_of_an_unknown_authority_gets_no_password(secure_set: SentinelSet | ClusterSet) -> None:
    url = secure_set.url_as(USER, "rediss")
    async with connect_redis(redis_address(Secret(url)), Logins(BROKER, Login()), Notebook()) as client:
        with pytest.raises(StoreUnavailable):
            await RedisStore(client, "access", SystemClock(), Notebook()).ping()
