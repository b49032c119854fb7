"""A broker that sentinels do not let in tells its log so, and no password."""

from pathlib import Path

import pytest

from tests.integration.secrecy.planted import Planted
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import configuration
from tests.kit.processes.left_behind import seen_by_others
from tests.kit.processes.redis_server import RedisServer
from tests.kit.secrecy import leaks

STARTED_WITHIN_SECONDS = 60

pytestmark = pytest.mark.slow


def test_no_password_is_told(tmp_path: Path) -> None:
    users = tmp_path / "users.acl"
    users.write_text("user default off\n")
    with RedisServer(tmp_path / "sentinel", "--aclfile", str(users)) as server:
        url = f"redis+sentinel://broker:the-password-of-the-servers@127.0.0.1:{server.port}/main"
        config = configuration("http://127.0.0.1:9", url)
        config["store"] |= {"sentinel_user": "watcher", "sentinel_password": "the-password-of-the-sentinels"}
        planted = Planted(tmp_path / "planted")
        broker = BrokerProcess(tmp_path / "broker", planted.plant(config), variables=planted.variables)
        broker.launch()
        assert broker.process
        seen = seen_by_others(broker.process.pid)
        code = broker.process.wait(STARTED_WITHIN_SECONDS)
    log = broker.log.read_bytes()

    assert 3 == code
    assert b"store.url" in log
    assert {"store.url", "store.sentinel_password"} <= {
        key for key, found in planted.needles.items() if found
    }
    assert set() == leaks(planted.needles, {"log": log, "as another user sees it": seen})
