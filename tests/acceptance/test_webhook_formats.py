"""Retraining requests in other forms, from the real daemon to receivers that look at each of them closely."""

import base64
import json
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from monitor.core.outbox import NoteState
from tests.drifting import DRIFTS, drifting
from tests.json_schema import faults
from tests.pipeline_services import DagRun2, Services, ServiceServer
from tests.ports import free_port
from tests.programs import Program, Project, eventually

pytestmark = pytest.mark.acceptance

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "webhook.schema.json").read_text())
RETRAIN = """
[[models.retrain]]
webhook = "{name}"
when = ["drift"]
"""
BROKER = """
[webhooks.broker]
url = "http://127.0.0.1:{port}/broker"
allow_private = true
format = "cloudevents"
secret_file = "secret"
"""
CHAT = """
[webhooks.chat]
url = "http://127.0.0.1:{port}/chat"
allow_private = true
format = "template"
secret_file = "secret"
parameters = {{ template = "chat.json.j2" }}
"""
AIRFLOW = """
[webhooks.airflow]
url = "http://127.0.0.1:{port}/api/v2/dags/retrain/dagRuns"
allow_private = true
format = "airflow"
auth = "bearer"
secret_file = "token"
parameters = {{ arguments = {{ of = "$model" }} }}
"""
TEMPLATE = '{"type": {{ ("retrain " ~ data.model) | tojson }}, "key": {{ id | tojson }}}\n'


@dataclass(frozen=True, slots=True)
class Setting:
    """A project whose log drifts, and a free port."""

    project: Project
    port: int

    def write(self, hooks: dict[str, str]) -> None:
        text = DRIFTS + "".join(RETRAIN.format(name=name) for name in hooks)
        self.project.configure(text + "".join(hook.format(port=self.port) for hook in hooks.values()))


@pytest.fixture
def setting(tmp_path: Path, car_loans: pl.DataFrame) -> Iterator[Setting]:
    port = free_port()
    project = drifting(tmp_path, car_loans, DRIFTS)
    keys = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)]
    (tmp_path / "secret").write_text("".join(f"whsec_{key}\n" for key in keys))  # while they are exchanged
    (tmp_path / "old").write_text(keys[1])
    (tmp_path / "token").write_text("token-that-is-over")
    (tmp_path / "chat.json.j2").write_text(TEMPLATE)
    yield Setting(project, port)
    said = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    for secret in (*keys, "token-that-is-over", "token-of-today"):
        assert secret not in project.metrics() + json.dumps(project.status()) + said


def test_a_broker_and_a_template_are_told_with_both_keys(setting: Setting) -> None:
    setting.write({"broker": BROKER, "chat": CHAT})
    folder = setting.project.folder
    assert "webhook broker: cloudevents, auth hmac" in setting.project.ask("check").stdout
    command = [sys.executable, "-m", "monitor.receiver", "--secret-file", str(folder / "old")]
    with Program(
        [*command, "--port", str(setting.port)], folder / "receiver.log", setting.project.environment
    ) as receiver:
        receiver.wait_for("listening")
        for _ in range(2):
            assert "2 delivered" in setting.project.once("--flush")

        assert receiver.text.count("verified webhook") == 2
        assert "type 'retrain car-loan'" in receiver.text
        assert "model car-loan, version" in receiver.text
        assert not any(word in receiver.text for word in ("duplicate", "refused", "failed"))
    for note in setting.project.notes():
        assert note.state is NoteState.DELIVERED
        assert faults(SCHEMA, json.loads(note.body)) == []


def test_airflow_starts_one_run_with_a_token_renewed_under_the_running_daemon(setting: Setting) -> None:
    setting.write({"airflow": AIRFLOW})
    services = Services(token="token-of-today")  # noqa: S106 - of the test
    with ServiceServer(services, setting.port), setting.project.start() as daemon:
        eventually(lambda: services.refusals)
        (setting.project.folder / "token").write_text("token-of-today\n")
        eventually(lambda: services.runs)
        eventually(lambda: daemon.samples().get("driftd_outbox_pending") == 0)
        assert daemon.stop() == 0

    (note,) = setting.project.notes()
    assert services.refusals == ["authorization"]
    assert list(services.runs) == [note.id]
    run = services.runs[note.id]
    assert isinstance(run, DagRun2)
    assert run.conf is not None
    assert (run.conf["of"], run.conf["data"]) == ("car-loan", json.loads(note.body)["data"])
    assert (note.state, note.attempts) == (NoteState.DELIVERED, 2)
