"""Commands that run until Ctrl-C, and the demo: in processes of their own, as an operator starts them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.simulator import demo
from tests.architecture.pages.documents import blocks
from tests.cli.running import WITHIN_SECONDS, interrupted, process

ROOT = Path(__file__).parents[2]
CALLING = ROOT / "docs" / "calling.md"
SHELLS = os.environ.get("SHELLS", "bash").split()
"""`make pasted` takes zsh too. What differs at its prompt: tests/architecture/pages/test_pasted_lines.py."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def printed() -> Iterator[str]:
    """What `dev` prints, while it runs."""
    with process("dev", "--grpc-port=0", "--http-port=0", "--wecom-port=0") as dev:
        assert dev.stdout
        lines = iter(dev.stdout.readline, "")
        yield "".join(_until("Ctrl-C", lines))
        code, _, _ = interrupted(dev)
        assert 0 == code


def _until(word: str, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if word in line:
            return
    raise AssertionError(f"it ended without saying {word!r}")


def pasted(
    lines: str, shell: str = "/bin/sh", path: str = os.defpath, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the lines as they are in a shell whose PATH has nothing of ours, unless it is said."""
    return subprocess.run(
        [shell, "-c", lines],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path, **variables},
        cwd=ROOT,
    )


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def test_the_token_line_that_dev_prints_works(printed: str) -> None:
    line = next(line for line in printed.splitlines() if "token get" in line)
    done = pasted(line)

    assert "wecom-broker" == Path(shlex.split(line)[0]).name
    assert (0, "") == (done.returncode, done.stderr)
    assert "ww1child000000001" in done.stdout


def test_the_python_that_dev_prints_works(printed: str) -> None:
    done = pasted(printed.partition("In Python:\n")[2].partition("\nCtrl-C")[0])

    assert (0, "") == (done.returncode, done.stderr)
    assert "ww1child000000001" in done.stdout


def test_the_addresses_that_dev_prints_answer(printed: str) -> None:
    urls = re.findall(r"http://[^\s)]+", printed)
    metrics = next(url for url in urls if url.endswith("/metrics"))
    calls = next(url for url in urls if url.endswith("/_simulator/calls"))

    assert "wecom_broker_requests_total" in fetched(metrics)
    assert isinstance(json.loads(fetched(calls)), dict)


def test_the_suite_that_dev_prints_is_installed_and_can_be_shared(printed: str) -> None:
    lines = printed.splitlines()
    listing = next(line for line in lines if "suites list" in line)
    token = next(line for line in lines if "token get market" in line)
    corp = shlex.split(token)[5]
    curl = shlex.split(next(line for line in lines if line.startswith("curl")))
    deadline = time.monotonic() + WITHIN_SECONDS
    while corp not in (before := pasted(listing).stdout):
        assert time.monotonic() < deadline, before

    done = pasted(token)
    assert (0, "") == (done.returncode, done.stderr)
    assert corp in done.stdout
    with urllib.request.urlopen(curl[3], data=curl[2].encode(), timeout=60) as answer:
        assert 2 == len(json.loads(answer.read())["installs"])
    while 3 != pasted(listing).stdout.count(" active "):
        assert time.monotonic() < deadline


def test_the_grpcurl_line_that_dev_prints_names_what_there_is(printed: str) -> None:
    line = next(line for line in printed.splitlines() if line.startswith("grpcurl"))
    words = shlex.split(line)

    assert {"target": {"app": "crm", "corp_id": "ww1child000000001"}} == json.loads(words[3])
    assert "wecom_broker.v1.TokenService/GetAccessToken" == words[-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_lines_of_dev_and_of_the_page_about_calls_work(printed: str, shell: str) -> None:
    """What goes on until Ctrl-C (`watch`, `tail`) and what has a name to put in are other tests' business."""
    if not (program := shutil.which(shell)):
        pytest.skip(f"{shell} is not here: Debian's package {shell}")
    shown = [line for line in printed.splitlines() if "wecom-broker " in line and "tail" not in line]
    (calls,) = [code for language, code in blocks(CALLING) if language == "sh" and "completion" in code]
    shown += [
        line for line in calls.splitlines() if not re.search(r"watch|tail|write|market|GROUP|CORP_ID", line)
    ]
    (address,) = set(re.findall(r"--address (\S+)", printed))
    path = f"{Path(sys.executable).parent}:{os.defpath}"
    done = {line: pasted(line, program, path, WECOM_BROKER_ADDRESS=address) for line in shown}

    assert len(done) >= 8
    assert {} == {line: ended.stderr for line, ended in done.items() if ended.returncode or ended.stderr}


def test_no_token_is_among_what_dev_prints(printed: str) -> None:
    assert [] == re.findall(r"[A-Za-z0-9_-]{60,}", printed)


def test_the_demo_walks_the_whole_chain() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "broker", "demo"],
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert [f"{step}." for step in range(1, 18)] == re.findall(r"^\d+\.", done.stdout, re.MULTILINE)
    assert "WeCom says 40014" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert [] == re.findall(r"[A-Za-z0-9_-]{60,}", done.stdout)


def test_the_simulator_alone_behaves_as_its_options_say() -> None:
    options = ["--port=0", "--children=3", "--token-lifetime=60", "--habit=same_value_remaining"]
    with process("simulate", *options) as simulator:
        assert simulator.stdout
        line = simulator.stdout.readline()
        url = line.split()[2]
        asked = f"{url}/cgi-bin/gettoken?corpid={demo.PARENT.corpid}&corpsecret={demo.SECRET}"
        first: dict[str, Any] = json.loads(fetched(asked))
        again: dict[str, Any] = json.loads(fetched(asked))
        code, _, error = interrupted(simulator)

    assert demo.PARENT.corpid in line
    assert demo.SECRET in line
    assert 60 == first["expires_in"]
    assert first["access_token"] == again["access_token"]
    assert again["expires_in"] <= 60
    assert (0, "") == (code, error)
