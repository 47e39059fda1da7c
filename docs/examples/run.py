"""Runs an example to its end: train, serve, calm traffic, changed traffic; then asks driftd what it saw.

python run.py FOLDER --driftd .venv/bin/driftd      (an interpreter that has the example's libraries)
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
PATIENCE = 60
DRIFTS = {
    "scikit_fastapi": {"income"},
    "xgboost_flask": {"amount"},
    "pytorch_fastapi": {"distance"},
    "retrieval": {"question.cosine", "question_out_of_vocabulary"},
}
"""What the changed traffic of each example is changed in."""


def main() -> None:
    """Run the example of the command line; ends with 1 if driftd did not see what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("example", choices=sorted(DRIFTS))
    parser.add_argument("--driftd", type=Path, default=shutil.which("driftd"))
    chosen = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(HERE / chosen.example, folder, dirs_exist_ok=True)
        python(folder, "train.py")
        asked = Driftd(folder, chosen.driftd.absolute())
        with served(folder) as address:
            sent = int(python(folder, "traffic.py", address, "calm"))
            calm = firing(asked.status("run", "--once"))
            sent += int(python(folder, "traffic.py", address, "changed"))
        seen = asked.status("run", "--once", "--flush")
    stored, found = seen["sources"]["predictions-0"]["stored"], firing(seen)
    print(f"{chosen.example}: {sent} predictions served, {stored} stored")
    print(f"{chosen.example}: firing at first: {calm or 'nothing'}, and in the end: {', '.join(found)}")
    if stored != sent or calm or not DRIFTS[chosen.example] <= set(found):
        sys.exit(f"expected {sent} rows, no alarm at first, then on {', '.join(DRIFTS[chosen.example])}")


def firing(status: dict[str, Any]) -> list[str]:
    """Return the features with an alarm."""
    return sorted({episode["feature"] for episode in status["firing"]})


def environment() -> dict[str, str]:
    """Return what the programs see: monitor.client from this checkout, as if it were installed."""
    return {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}


def python(folder: Path, *command: str) -> str:
    """Run one of the example's programs; returns what it printed."""
    whole = [sys.executable, *command]
    pipe = subprocess.PIPE
    return subprocess.run(whole, cwd=folder, env=environment(), stdout=pipe, text=True, check=True).stdout


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run the service; gives its address once it answers."""
    place = socket.socket()  # bound as long as the service runs: nobody else is given the port
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    service = subprocess.Popen([sys.executable, "service.py", str(port)], cwd=folder, env=environment())
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if service.poll() is not None or time.monotonic() > end:
                sys.exit("the service did not start")
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        service.terminate()  # it writes what waits, and ends
        service.wait(PATIENCE)
        place.close()


class Driftd:
    """Runs driftd's commands in the example's folder."""

    def __init__(self, folder: Path, program: Path) -> None:
        self._folder = folder
        self._program = program

    def status(self, *command: str) -> dict[str, Any]:
        """Run a command; returns what `driftd status` says of the model afterwards."""
        print(self._run(*command), end="")
        found: dict[str, Any] = json.loads(self._run("status", "--json"))["models"][0]
        return found

    def _run(self, *command: str) -> str:
        whole = [self._program, *command, "--config", "config.toml"]
        return subprocess.run(whole, cwd=self._folder, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
