"""The rows of audit records: only who verifies reads them, the daemon and the other commands do not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.core.row_files import SPACE
from monitor.store.sqlite import DATABASE, SqliteStore

CONFIG = """
[daemon]
state = "state"
listen = "127.0.0.1:0"
[[models]]
name = "m"
task = "regression"
window = "1h"
monitors = [ { detector = "ks", on = "numeric" } ]
[models.columns]
timestamp = "at"
prediction = "pred"
[models.reference]
path = "reference.csv"
[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Return a configuration beside a state with such rows, which cannot be read any more."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, encoding="utf-8")
    lines = [f"2026-01-05T00:{i:02}:00Z,{i % 7},{i % 3}" for i in range(60)]
    (tmp_path / "reference.csv").write_text("\n".join(["at,x,pred", *lines]), encoding="utf-8")
    (tmp_path / "logs").mkdir()
    with closing(SqliteStore(tmp_path / "state")) as store:
        store.commit({(SPACE, "m", "hash"): b"rows"})
    with closing(sqlite3.connect(tmp_path / "state" / DATABASE)) as db:
        db.execute("UPDATE entries SET value=x'00'")
        db.commit()
    return str(path)


@pytest.mark.parametrize("command", ["run --once", "status", "metrics", "episodes --all"])
def test_what_does_not_verify_does_not_read_them(config: str, command: str) -> None:
    result = CliRunner().invoke(main, [*command.split(), "--config", config])
    assert result.exit_code == 0, result.output


def test_who_verifies_hears_that_they_are_damaged(config: str) -> None:
    result = CliRunner().invoke(main, ["explain", "ep_1", "--config", config])
    assert result.exit_code != 0
    assert "is damaged (a audit_rows of m has changed)" in result.output
