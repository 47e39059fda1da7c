"""A real Apache Airflow is asked for a retraining: `make e2e-airflow`, not part of `make test`.

`python -m tests.e2e.airflow PATH/TO/airflow`. Starts `airflow standalone` in a temporary folder, lets a real
daemon find drift in the car loans, and looks for the DAG run. Then the daemon forgets that it has delivered,
as after a crash in the wrong moment, and asks again: there is still one run. Ends with an AssertionError
when anything is not so.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from tests.drifting import DRIFTS, drifting
from tests.ports import free_port
from tests.programs import Program, Project, eventually

DATA = Path(__file__).parents[3] / "shared" / "data" / "car_loan" / "car_loan_synthetic.parquet"
SLOW = 400.0
"""Seconds that Airflow may take for anything: its start imports a great deal."""
DAG = """
from pathlib import Path
import json

from airflow.sdk import DAG, task

with DAG("retrain", schedule=None, catchup=False):

    @task
    def train(**context):
        Path(PROOF).write_text(json.dumps(context["dag_run"].conf))

    train()
"""
ASKS_AIRFLOW = """
[[models.retrain]]
webhook = "airflow"
when = ["drift"]

[webhooks.airflow]
url = "http://127.0.0.1:PORT/api/v2/dags/retrain/dagRuns"
format = "airflow"
auth = "bearer"
secret_file = "token"
allow_private = true
parameters = { arguments = { asked_by = "driftd" } }
"""


class Airflow:
    """Its REST API on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.token = ""

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the answer, None while there is none or it is no success."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except (ConnectionError, TimeoutError):
            return None
        finally:
            connection.close()
        return json.loads(text) if answer.status in {200, 201} else None

    def runs(self) -> list[dict[str, Any]]:
        """Return the DAG's runs."""
        found: list[dict[str, Any]] = self.ask("GET", "/api/v2/dags/retrain/dagRuns")["dag_runs"]
        return found


@contextmanager
def standalone(program: str, folder: Path, port: int) -> Iterator[Airflow]:
    """Run Airflow with one DAG, not paused, and be logged in."""
    home = folder / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "retrain.py").write_text(DAG.replace("PROOF", repr(str(folder / "proof.json"))))
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",  # its parts are found by name
    }
    command = ["setsid", program, "standalone"]  # a group of its own, to be ended as one
    with Program(command, folder / "airflow.log", os.environ | settings) as running:
        api = Airflow(port)
        eventually(lambda: api.ask("GET", "/api/v2/monitor/health"), "Airflow's API", SLOW)
        passwords = json.loads((home / "simple_auth_manager_passwords.json.generated").read_text())
        api.token = api.ask("POST", "/auth/token", {"username": "admin", "password": passwords["admin"]})[
            "access_token"
        ]
        switch = "/api/v2/dags/retrain?update_mask=is_paused"
        eventually(lambda: api.ask("PATCH", switch, {"is_paused": False}), "the DAG", SLOW)
        try:
            yield api
        finally:
            os.killpg(running.process.pid, signal.SIGTERM)
            running.process.wait(60)


def main(program: str) -> None:
    """Do it all, saying what is seen."""
    with TemporaryDirectory(prefix="driftd-airflow-") as name:
        folder = Path(name)
        port = free_port()
        asks = ASKS_AIRFLOW.replace("PORT", str(port))
        project = drifting(folder, pl.read_parquet(DATA), DRIFTS + asks)
        (folder / "token").write_text("none-yet")
        say(project.once("--flush"))
        shutil.copytree(project.state, folder / "before")
        say("driftd has found drift and asked; Airflow does not run yet, so the request waits.")
        with standalone(program, folder, port) as airflow:
            say(f"Airflow {airflow.ask('GET', '/api/v2/version')['version']} runs; no run of its DAG:")
            assert airflow.runs() == []
            (folder / "token").write_text(airflow.token)
            deliver(project)
            seen(airflow, folder)
            shutil.rmtree(project.state)
            (folder / "before").rename(project.state)
            deliver(project)
            (run,) = airflow.runs()
            say("Asked again, as after a crash, with the same id: Airflow has one run,", run["dag_run_id"])


def deliver(project: Project) -> None:
    """Let the daemon run until the request is delivered."""
    with project.start() as daemon:
        daemon.wait_for("webhook delivered")
        assert daemon.stop() == 0


def seen(airflow: Airflow, folder: Path) -> None:
    """Say what became of the request."""
    (run,) = airflow.runs()
    say("A run appeared:", json.dumps({k: run[k] for k in ("dag_run_id", "run_type", "triggered_by")}))
    eventually(lambda: airflow.runs()[0]["state"] == "success", "the run's success", SLOW)
    conf = json.loads((folder / "proof.json").read_text())
    assert conf["asked_by"] == "driftd"
    assert conf["data"]["model"] == "car-loan"
    assert {m["feature"] for m in conf["data"]["monitors"]} == {"car_value"}
    say("It ended with success. What its task was given:")
    say(json.dumps(conf, indent=2))


def say(*what: object) -> None:
    """Print one line at once."""
    print(*what, flush=True)  # noqa: T201 - a command of its own


if __name__ == "__main__":
    main(sys.argv[1])
