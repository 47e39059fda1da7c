"""`driftd webhooks` beside a real daemon: what waits is seen, tried again, delivered once, and told."""

import json
import secrets
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from monitor.receiver import Heard, Receiver
from tests.drifting import ASKS, DRIFTS, drifting
from tests.ports import free_port
from tests.programs import Project, eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture
def project(tmp_path: Path, car_loans: pl.DataFrame) -> Iterator[Project]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/hook?token=hidden-in-the-query"
    made = drifting(tmp_path, car_loans, DRIFTS + ASKS.replace("URL", url))
    (tmp_path / "secret").write_bytes(b64encode(secrets.token_bytes(30)))
    yield made
    said = [path.read_text() for path in tmp_path.glob("*.log")]
    said += [made.ask("webhooks", *command).stdout for command in (["audit"], ["list", "--json"])]
    for text in said:
        assert (tmp_path / "secret").read_text() not in text
        assert "hidden-in-the-query" not in text


def receiver(project: Project, heard: list[Heard], fail_first: int = 0, status: int = 503) -> Receiver:
    port = int(project.folder.joinpath("config.toml").read_text().split("http://127.0.0.1:")[1].split("/")[0])
    secret = b"whsec_" + (project.folder / "secret").read_bytes()
    return Receiver(secret, heard.append, port, fail_first=fail_first, status=status)


def listed(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.ask("webhooks", "list", "--json").stdout)
    return found


def audit(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in project.ask("webhooks", "audit").stdout.splitlines()]


def test_what_waits_is_listed_and_sent_once_when_it_is_asked_for_again(project: Project) -> None:
    heard: list[Heard] = []
    with project.start() as daemon:
        eventually(lambda: daemon.samples().get("driftd_outbox_pending") == 1)
        eventually(lambda: (listed(project) or [{}])[0].get("attempts", 0) >= 2)  # the next is in 5 minutes
        (row,) = json.loads(project.driftd("webhooks", "list", "--json").stdout)
        assert (row["state"], row["last_outcome"], row["webhook"]) == ("pending", "connect", "training")
        assert "failed so far: 2, connect: nobody listens" in project.driftd("status").stdout
        with receiver(project, heard):
            said = project.driftd("webhooks", "retry", row["id"]).stdout
            assert "the running daemon sends it now" in said
            eventually(lambda: daemon.samples().get("driftd_outbox_pending") == 0)
            again = project.ask("webhooks", "retry", row["id"], code=1).stderr
            assert "was delivered; it is not sent a second time" in again
        delivered = {"model": "car-loan", "webhook": "training", "outcome": "delivered"}
        assert daemon.samples().get("driftd_retrain_requests_total", **delivered) == 1
        assert daemon.stop() == 0

    assert [(h.verdict, h.id) for h in heard] == [("verified", row["id"])]
    assert project.samples().get("driftd_retrain_requests_total", **delivered) == 1  # restarts keep it
    shown = json.loads(project.driftd("webhooks", "show", row["id"], "--json").stdout)
    *failed, last = (e["outcome"] for e in shown["history"])
    assert (set(failed), last) == ({"connect"}, "delivered")
    assert [e["attempt"] for e in shown["history"]] == list(range(1, len(shown["history"]) + 1))
    assert shown["history"][-1]["status"] == 204
    assert shown["body"]["data"]["model"] == "car-loan"
    audited = project.driftd("webhooks", "audit").stdout.splitlines()
    assert list(map(json.loads, audited)) == shown["history"]
    assert row["id"] in project.ask("webhooks", "show", row["id"]).stdout


def test_an_endpoint_that_said_gone_by_mistake_is_opened_again(project: Project) -> None:
    heard: list[Heard] = []
    with receiver(project, heard, fail_first=1, status=410):
        project.once()
        (row,) = listed(project)
        assert (row["state"], row["last_outcome"], row["last_status"]) == ("dead", "gone", 410)
        assert "DISABLED, it answered 410" in project.ask("status").stdout
        assert project.status()["webhooks"][0]["disabled"] is True
        assert project.samples().get("driftd_webhook_disabled", webhook="training") == 1
        dead = {"model": "car-loan", "webhook": "training", "outcome": "dead"}
        assert project.samples().get("driftd_retrain_requests_total", **dead) == 1

        said = project.ask("webhooks", "retry", row["id"]).stdout
        assert "no daemon has answered; it is sent when one runs" in said
        project.once()
        project.once()

    assert [h.verdict for h in heard] == ["failed", "verified"]
    (row,) = listed(project)
    assert (row["state"], row["attempts"]) == ("delivered", 2)
    assert project.samples().get("driftd_webhook_disabled", webhook="training") == 0
    assert project.samples().get("driftd_retrain_requests_total", **dead) == 1  # never goes back
    assert "DISABLED" not in project.ask("status").stdout


def test_a_test_is_sent_at_once_and_noted(project: Project) -> None:
    heard: list[Heard] = []
    failed = project.driftd("webhooks", "test", "training", code=1)
    assert failed.stderr == (
        "driftd: webhook training: not delivered: connect: nobody listens, or there is no route\n"
    )
    unknown = project.ask("webhooks", "test", "trainign", code=1).stderr
    assert 'there is no webhook "trainign"; did you mean "training"?' in unknown
    with receiver(project, heard, fail_first=1, status=401):
        refused = project.ask("webhooks", "test", "training", code=1).stderr
        assert "client_error 401: it does not accept the request" in refused
        assert "delivered, it answered 204" in project.driftd("webhooks", "test", "training").stdout
    assert [h.verdict for h in heard] == ["failed", "verified"]
    assert heard[1].payload is not None
    assert heard[1].payload["type"] == "driftd.webhook.test"
    outcomes = [(e["outcome"], e["status"]) for e in audit(project)]
    assert sorted(outcomes, key=str) == [("client_error", 401), ("connect", None), ("delivered", 204)]

    project.once()  # the owner of the state writes them into its log
    noted = [(e["outcome"], e["status"]) for e in audit(project) if e["id"].startswith("test_")]
    assert sorted(noted, key=str) == sorted(outcomes, key=str)
    assert not [key for key in project.entries() if key[0] == "request"]
    assert [row["id"][:4] for row in listed(project)] == ["msg_"]


def test_a_private_target_is_refused_at_check_and_says_what_to_write(project: Project) -> None:
    project.once()
    config = project.folder / "config.toml"
    text = config.read_text()
    config.write_text(text.replace("allow_private = true\n", ""))
    for said in (project.ask("check", code=2).stderr, project.driftd("run", code=2).stderr):
        assert "webhooks.training.url: leads to an address that is not public (loopback)" in said
        assert "write allow_private = true" in said
    config.write_text(text)
