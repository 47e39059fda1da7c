"""OTLP as the daemon holds it: nothing without configuration, secrets that are never shown, one instance."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from monitor import otlp_checks
from monitor.config import Config
from monitor.errors import ConfigError
from monitor.loading import load
from monitor.logs import log_to_stderr, logger
from monitor.otlp_table import Otlp
from monitor.telemetry import KEY, Facts, Instance, Silent, headers, telemetry
from monitor.types import Changes
from tests.collectors import Collector, over_http
from tests.ports import free_port

MODEL = """
[[models]]
name = "m"
columns.prediction = "y"
features.numeric = ["a"]
reference.first = "30d"
sources = [{ role = "predictions", type = "files", path = "logs/*.jsonl" }]
"""
NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = Facts(lambda: NOW, list)
SECRET = "Bearer s3cret-token"  # noqa: S105 - looked for where it must not be


def configured(folder: Path, text: str) -> Config:
    path = folder / "config.toml"
    path.write_text(f'{MODEL}\n[exporters.otlp]\nendpoint = "http://127.0.0.1:{free_port()}"\n{text}')
    return load(path, {"TOKEN": SECRET})


def otlp_of(config: Config) -> Otlp:
    assert config.exporters.otlp is not None
    return config.exporters.otlp


def test_without_the_table_nothing_is_made_and_no_library_of_it_is_imported() -> None:
    program = (
        "import sys, monitor.daemon, monitor.cli\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'grpc'))])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert shown == "[]\n"
    assert isinstance(telemetry(None, FACTS, {}, lambda _: None), Silent)


def test_a_state_keeps_its_instance_and_another_one_has_another() -> None:
    first, changes = Instance.of({}, 5)
    entry = changes[KEY]
    assert entry is not None
    again, nothing = Instance.of({KEY: entry}, 9)
    other, _ = Instance.of({}, 5)

    assert again == first
    assert first.since == 5
    assert nothing == {}
    assert other.id != first.id


def test_a_secret_is_read_from_file_or_variable_and_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    given = 'headers.authorization = { file = "token" }\nheaders.x-key = { env = "TOKEN" }\n'
    config = configured(tmp_path, given)

    assert headers(otlp_of(config))() == {"authorization": SECRET, "x-key": SECRET}
    shown = f"{config!r} {config.model_dump()} {config.model_dump_json()}"
    assert "s3cret" not in shown


def test_a_changed_file_counts_at_once_and_a_broken_one_leaves_the_last_good_and_is_told_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text("one")
    now = headers(otlp_of(configured(tmp_path, 'headers.x-key = { file = "token" }\n')))
    (tmp_path / "token").write_text("two")
    assert now() == {"x-key": "two"}
    with structlog.testing.capture_logs() as logs:
        for broken in (b"", b"a\nb", b"\xff", b"x" * 70_000):
            (tmp_path / "token").write_bytes(broken)
            assert now() == {"x-key": "two"}
        (tmp_path / "token").unlink()
        assert [now(), now()] == [{"x-key": "two"}] * 2
    assert [(e["log_level"], e["header"], e["problem"].split()[:3]) for e in logs] == [
        ("warning", "x-key", ["file", "holds", "no"]),
        ("warning", "x-key", ["file", "holds", "more"]),
        ("warning", "x-key", ["file", "names", "a"]),
    ]
    (tmp_path / "token").write_text("three")
    assert now() == {"x-key": "three"}


def test_a_missing_extra_is_one_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_checks, "find_spec", lambda _: None)
    raw = {"endpoint": "http://127.0.0.1:4317", "protocol": "grpc"}
    path = tmp_path / "config.toml"
    path.write_text(f"{MODEL}\n[exporters.otlp]\n" + "".join(f'{k} = "{v}"\n' for k, v in raw.items()))
    with pytest.raises(ConfigError) as caught:
        load(path, {})

    says = '"grpc" needs a package that is not installed; run: pip install "driftd[otlp-grpc]"'
    assert caught.value.complaints == (f"{path}:exporters.otlp.protocol: {says}",)


def test_events_go_to_the_collector_until_it_is_closed() -> None:
    before = structlog.get_config()
    written: Changes = {}
    try:
        log_to_stderr()
        with over_http(Collector()) as collector:
            otlp = Otlp(endpoint=collector.endpoint, metrics=False, logs=True, service_name="mine")
            speaking = telemetry(otlp, FACTS, {}, written.update)
            logger("daemon", model="m").info("listening", address="here")
            speaking.start()
            assert speaking.close()
            logger("daemon").info("after the end")
    finally:
        structlog.configure(**before)

    assert [r.body.string_value for r in collector.records()] == ["listening"]
    assert collector.resources()[0]["service.name"] == "mine"
    assert collector.resources()[0]["service.instance.id"] == Instance.of(written_only(written), 0)[0].id
    assert not collector.metrics


def written_only(changes: Changes) -> dict[tuple[str, str, str], bytes]:
    return {key: value for key, value in changes.items() if value is not None}
