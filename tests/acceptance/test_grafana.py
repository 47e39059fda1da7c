"""A daemon and what answers as Grafana: dashboards pushed, episodes annotated, an outage survived."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.simulate import DAY, LABEL, LiveModel, as_json_lines, write_reference
from tests.grafana_api import TOKEN, GrafanaApi
from tests.programs import Project, eventually

pytestmark = pytest.mark.acceptance

CONFIG = """
[daemon]
listen = "127.0.0.1:0"
commit_every = "100ms"

[exporters.grafana]
url = "URL"
token_file = "grafana-token"
folder = "Models"
datasource_url = "http://127.0.0.1:9090"
timeout = "5s"

[[models]]
name = "loan-default"
window = "1d"
features = { numeric = ["debt_to_income", "utilization", "income"], categorical = ["purpose"] }
reference.path = "reference.parquet"
columns = { prediction_id = "prediction_id", prediction = "prediction", version = "model_version" }
alarms = { min_rows = 50, keep_firing = 2 }
sources = [{ role = "predictions", type = "files", path = "logs/predictions.jsonl" }]
"""
ROOT = Path(__file__).parents[2]
MODEL = LiveModel(seed=3, rows_per_day=1500)
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 10**6
HURT = range(3, 6)
"""Days of the incident."""


@pytest.fixture
def api() -> Iterator[GrafanaApi]:
    with GrafanaApi() as found:
        yield found
        assert found.broken == []


@pytest.fixture
def project(tmp_path: Path, api: GrafanaApi) -> Project:
    made = Project(tmp_path).configure(CONFIG.replace("URL", api.url))
    write_reference(MODEL, tmp_path / "reference.parquet", START - 20 * DAY, START)
    (tmp_path / "grafana-token").write_text(f"{TOKEN}\n")
    return made


def write(project: Project, *days: int) -> None:
    """Append these days' predictions."""
    for day in days:
        at = START + day * DAY
        rows = MODEL.labelled(at, at + DAY, incident=day in HURT).drop(LABEL)
        project.append("predictions.jsonl", as_json_lines(rows))


def firing(project: Project) -> set[str]:
    """Return the episodes that fire, by what is committed."""
    found = (json.loads(v) for (space, _, _), v in project.entries().items() if space == "trip")
    return {trip["episode"] for trip in found if trip["phase"] == "firing"}


def test_dashboards_are_pushed_once(project: Project, api: GrafanaApi) -> None:
    first = project.driftd(
        "dashboards", "push", "--runbooks", "https://wiki.example.org/r"
    ).stdout.splitlines()
    sent = len(api.changes())
    again = project.driftd(
        "dashboards", "push", "--runbooks", "https://wiki.example.org/r"
    ).stdout.splitlines()

    assert first == [
        "data source driftd-prometheus: created",
        f"folder Models: created  {api.url}/dashboards/f/folder-1/models",
        f"dashboard driftd / Daemon: created  {api.url}/d/driftd-daemon/driftd-daemon",
        f"dashboard driftd / Fleet: created  {api.url}/d/driftd-fleet/driftd-fleet",
        f"dashboard driftd / Model: created  {api.url}/d/driftd-model/driftd-model",
    ]
    assert [line for line in again if ": unchanged" in line] == again[:-1]
    assert again[-1] == "nothing changed"
    assert len(api.changes()) == sent
    assert "https://wiki.example.org/r" in json.dumps(api.boards)


def test_an_episode_is_a_region_from_its_start_to_its_end(project: Project, api: GrafanaApi) -> None:
    write(project, *range(HURT[-1] + 1))
    project.once("--flush")
    begun = {a["id"]: dict(a) for a in api.annotations.values()}

    assert {tag for a in begun.values() for tag in a["tags"] if tag.startswith("episode:")} == {
        f"episode:{episode}" for episode in firing(project)
    }
    assert begun
    assert all(a["time"] == a["timeEnd"] for a in begun.values())
    assert min(a["time"] for a in begun.values()) == (START + HURT[0] * DAY) // 1000
    assert all({"driftd", "model:loan-default"} <= set(a["tags"]) for a in begun.values())
    assert any("feature:debt_to_income" in a["tags"] for a in begun.values())

    write(project, *range(HURT[-1] + 1, HURT[-1] + 6))
    project.once("--flush")

    assert firing(project) == set()
    ended = {a["id"]: a for a in api.annotations.values()}
    assert begun.keys() <= ended.keys()
    assert all(a["timeEnd"] > a["time"] for a in ended.values())
    assert all(ended[i]["tags"] == a["tags"] and ended[i]["time"] == a["time"] for i, a in begun.items())

    sent = len(api.changes())
    project.once()
    assert len(api.changes()) == sent

    board = json.loads((ROOT / "dashboards" / "model.json").read_text("utf-8"))
    asked = [mark["target"]["tags"] for mark in board["annotations"]["list"] if "target" in mark]
    drawn = [
        a["id"]
        for tags in asked
        for a in ended.values()
        if {tag.replace("$model", "loan-default") for tag in tags} <= set(a["tags"])
    ]
    assert sorted(drawn) == sorted(ended), "each is drawn once by the dashboard's own queries"


def test_an_outage_is_said_in_one_line_and_loses_no_annotation(project: Project, api: GrafanaApi) -> None:
    api.token = TOKEN[::-1]
    write(project, *range(HURT[-1] + 1))
    first = project.driftd("run", "--once", "--flush")

    said = [json.loads(line) for line in first.stderr.splitlines() if "annotation not taken" in line]
    assert [line["error"].split(": ", 1)[1] for line in said] == [
        "Grafana does not know the token; make one for a service account (401: Invalid API key)"
    ] * len({line["error"] for line in said})
    assert said
    assert TOKEN not in first.stderr + first.stdout
    assert api.annotations == {}
    assert {note.last_reason for note in project.notes()} == {"client_error"}

    (project.folder / "grafana-token").write_text(api.token)  # rotated
    wanted = firing(project)
    with project.start() as running:
        running.ready()
        eventually(lambda: len(api.annotations) == len(wanted))
        assert running.stop() == 0
    assert TOKEN.encode() not in b"".join(project.entries().values())


def test_a_grafana_that_is_configured_later_hears_what_fires(project: Project, api: GrafanaApi) -> None:
    text = (project.folder / "config.toml").read_text()
    (project.folder / "config.toml").write_text(text.replace('timeout = "5s"', "annotations = false"))
    write(project, *range(HURT[-1] + 1))
    project.once("--flush")
    assert api.annotations == {}

    (project.folder / "config.toml").write_text(text)
    project.once()
    assert len(api.annotations) == len(firing(project)) > 0

    project.once()
    assert len(api.changes()) == len(api.annotations)
