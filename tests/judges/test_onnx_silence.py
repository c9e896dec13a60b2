"""ONNX Runtime tells nobody which models are opened: no identifier, no queue of events to send."""

import os
import subprocess
import sys
from pathlib import Path

OPEN = """
import sys
from pathlib import Path
from anonbench.judges.onnx_session import session
session(Path(sys.argv[1]), "cpu", "test")
"""


def test_opening_a_model_leaves_nothing_in_the_users_home(shared: Path, tmp_path: Path) -> None:
    (model, *_) = sorted((shared / "weights").rglob("*.onnx"))
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", OPEN, str(model)]
    subprocess.run(command, env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
