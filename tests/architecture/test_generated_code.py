"""The committed stubs are what `make generate` makes of the protos."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.architecture.sources import GENERATED, PROTOS

MYPY_GRPC = Path(sysconfig.get_path("scripts")) / "protoc-gen-mypy_grpc"


def stubs(folder: Path) -> dict[str, bytes]:
    """Return the generated files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*_pb2*.py*")}


def test_the_committed_stubs_are_current(tmp_path: Path) -> None:
    protos = sorted(PROTOS.glob("wecom_broker/v1/*.proto"))
    plugins = [f"--{name}_out={tmp_path}" for name in ("python", "pyi", "grpc_python", "mypy_grpc")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--plugin=protoc-gen-mypy_grpc={MYPY_GRPC}"]
    subprocess.run([*protoc, f"-I{PROTOS}", *plugins, *protos], check=True, capture_output=True)

    generated, committed = stubs(tmp_path / "wecom_broker" / "v1"), stubs(GENERATED)

    assert 4 * len(protos) == len(generated)
    assert sorted(generated) == sorted(committed)
    stale = [name for name in generated if generated[name] != committed[name]]
    assert not stale, "make generate"
