"""A real MLflow server, from an environment of its own, with a database in a folder of the test."""

import json
import os
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import pytest

from tests.ports import free_port
from tests.programs import PATIENCE, Program, eventually

HOME = Path(__file__).parents[1] / ".envs" / "mlflow"
API = "/api/2.0/mlflow"
OK = 200


def python() -> Path:
    """Return MLflow's Python; without it the test is skipped, or fails where make test has promised it."""
    found = HOME / "bin" / "python"
    if not found.exists() and os.environ.get("DRIFTD_REQUIRE_MLFLOW") == "1":
        pytest.fail(f"{HOME} is not there, and DRIFTD_REQUIRE_MLFLOW=1 allows no skip")
    if not found.exists():
        pytest.skip("MLflow is not installed; make .envs/mlflow/.ready")
    return found


class MlflowServer(Program):
    """MLflow's server by itself: `mlflow server` would start it in the same way, and wait for it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command: list[str | Path] = [
            python(),
            "-m",
            "uvicorn",
            "mlflow.server.fastapi_app:app",
            "--port",
            str(self.port),
        ]
        store = f"sqlite:///{folder}/mlflow.db"
        settings = {
            "_MLFLOW_SERVER_FILE_STORE": store,
            "_MLFLOW_SERVER_REGISTRY_STORE": store,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "false",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
        }
        super().__init__(command, folder / "mlflow.log", settings)

    def ready(self) -> Self:
        """Wait until it answers."""
        eventually(self._answers, "MLflow answers")
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.text
        try:
            self.get("registered-models/search", max_results="1")
        except ConnectionError:
            return False
        return True

    def get(self, what: str, **query: str) -> Any:  # noqa: ANN401 - whatever it answers
        """Ask it."""
        return self._ask("GET", f"{what}?{urlencode(query)}")

    def post(self, what: str, **body: object) -> Any:  # noqa: ANN401 - whatever it answers
        """Tell it something."""
        return self._ask("POST", what, json.dumps(body))

    def _ask(self, method: str, what: str, body: str | None = None) -> Any:  # noqa: ANN401 - as above
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            headers = {"content-type": "application/json"} if body is not None else {}
            connection.request(method, f"{API}/{what}", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == OK, text
            return json.loads(text)
        finally:
            connection.close()

    def register(self, name: str, **tags: str) -> str:
        """Make a new version; returns its number."""
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        made = self.post("model-versions/create", name=name, source="s3://bucket/model", tags=pairs)
        return str(made["model_version"]["version"])

    def tags(self, name: str, version: str) -> dict[str, str]:
        """Return a version's tags."""
        found = self.get("model-versions/get", name=name, version=version)["model_version"]
        return {tag["key"]: tag["value"] for tag in found.get("tags", [])}
