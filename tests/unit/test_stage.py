"""The demo's folder: what the configuration names is there, and the daemon accepts it."""

import socket
import stat
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from standardwebhooks import Webhook

from monitor.errors import DriftdError
from monitor.loading import load
from monitor.service import LATEST, RESENT_WITHIN
from monitor.simulate import DAY
from monitor.stage import HOST, Stage, choose_port, configuration, prepare
from tests.ports import free_port

NOW = 20_000 * DAY + 5


def stage(tmp_path: Path, said: list[str]) -> Stage:
    return prepare(tmp_path, seed=1, now=NOW, say=said.append)


def test_the_stage_holds_what_the_configuration_names(tmp_path: Path) -> None:
    said: list[str] = []

    ready = stage(tmp_path, said)

    config = tomllib.loads(ready.config.read_text())
    assert config["daemon"]["listen"] == f"{HOST}:{ready.ports['daemon']}"
    assert f":{ready.ports['receiver']}/" in config["webhooks"]["training"]["url"]
    assert (tmp_path / config["models"][0]["reference"]["path"]).is_file()
    for source in config["models"][0]["sources"]:
        assert list(tmp_path.glob(source["path"]))
    assert tmp_path / config["webhooks"]["training"]["secret_file"] == ready.secret
    assert any("40 calm days, 2" in line for line in said)


def test_event_time_begins_at_midnight_in_the_past(tmp_path: Path) -> None:
    ready = stage(tmp_path, [])

    assert ready.start % DAY == 0
    assert ready.start < NOW - 365 * DAY


def test_the_secret_is_a_webhook_secret_for_the_owners_eyes(tmp_path: Path) -> None:
    secret = stage(tmp_path, []).secret

    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert Webhook(secret.read_text().strip()).sign("msg_1", datetime.now(UTC), "{}").startswith("v1,")


def test_the_daemon_accepts_the_stages_configuration(tmp_path: Path) -> None:
    ready = stage(tmp_path, [])

    config = load(ready.config, {})

    assert config.daemon.listen == f"{HOST}:{ready.ports['daemon']}"
    assert config.models[0].columns.segments == ("region",)
    assert [source.role for source in config.models[0].sources] == ["predictions", "outcomes"]


def test_drift_and_performance_ask_for_retraining_each_by_a_rule_of_its_own(tmp_path: Path) -> None:
    rules = load(stage(tmp_path, []).config, {}).models[0].retrain

    assert [rule.when for rule in rules] == [("drift", "prediction_drift"), ("performance",)]
    assert {rule.webhook for rule in rules} == {"training"}


def test_the_reference_holds_the_outcomes(tmp_path: Path) -> None:
    ready = stage(tmp_path, [])
    model = load(ready.config, {}).models[0]
    assert model.reference.path is not None

    reference = pl.read_parquet(model.reference.path)

    assert set(reference[model.columns.label]) == {0, 1}


def test_an_outcome_is_waited_for_as_long_as_any_takes(tmp_path: Path) -> None:
    horizon = load(stage(tmp_path, []).config, {}).models[0].label_horizon

    assert horizon > timedelta(microseconds=LATEST + RESENT_WITHIN)


def test_a_taken_port_is_replaced_and_said() -> None:
    said: list[str] = []
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]

        chosen = choose_port(taken, "daemon", said.append)

    assert chosen != taken
    assert str(taken) in said[0]
    assert str(chosen) in said[0]


def test_a_free_port_is_kept_without_a_word() -> None:
    said: list[str] = []
    free = free_port()

    assert choose_port(free, "daemon", said.append) == free
    assert not said


def test_a_template_without_the_ports_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "config.toml"
    other.write_text("[daemon]\n")
    monkeypatch.setattr("monitor.stage.template", lambda: other)

    with pytest.raises(DriftdError, match="9478"):
        configuration({"daemon": 1, "receiver": 2})
