"""What pages say of bounds, times and kinds is what the code has."""

import re

import pytest
from wecom_broker._connection.renewal import CHECK_SECONDS

from broker.server.grpc.guard import LARGEST_REQUEST
from broker.server.grpc.server import SLACK
from broker.server.grpc.warm.answers import LONGEST_REQUEST, MOST_KEPT
from broker.server.grpc.warm.methods import MOST_PAGES
from broker.server.http.connections import MOST_CONNECTIONS
from broker.telemetry.recent_problems import ProblemKind
from tests.architecture.sources import ROOT

WORDS = {5: "five"}
KIB, MIB = 1024, 1024 * 1024
SAID = [
    (
        "docs/operations.md",
        f"Open HTTP connections: at most {MOST_CONNECTIONS:,}, and a quarter of the files",
    ),
    ("docs/security.md", f"| HTTP connections | replica | {MOST_CONNECTIONS:,};"),
    ("docs/security.md", f"caller and bytes of the request, of at most {LONGEST_REQUEST} |"),
    ("docs/security.md", f"{MOST_KEPT:,} of `GetAccessToken`, {MOST_PAGES:,} of each method that signs"),
    ("docs/security.md", f"of anybody of up to {LARGEST_REQUEST / MIB} MiB and {SLACK // KIB} KiB"),
    ("clients/python/README.md", f"TLS files are looked at every {WORDS[int(CHECK_SECONDS)]} seconds"),
]


@pytest.mark.parametrize(("page", "words"), SAID, ids=[words for _, words in SAID])
def test_a_page_says_what_the_code_has(page: str, words: str) -> None:
    assert words in (ROOT / page).read_text(encoding="utf-8")


def test_the_api_names_each_kind_of_recent_problem() -> None:
    text = (ROOT / "protos/wecom_broker/v1/admin_service.proto").read_text(encoding="utf-8")
    remark = text.partition("message RecentProblem {")[2].partition("string kind")[0]

    assert sorted(ProblemKind) == sorted(re.findall(r'"(\w+)"', remark))
