"""The shipped dashboards: as the code makes them, readable, and about metrics that there are."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.building.written import files
from exporters.catalog import BY_NAME, CATALOG
from exporters.otlp_metrics import OTLP_METRICS
from monitor.dashboards import write_dashboards
from monitor.errors import DriftdError

FOLDER = Path(__file__).parents[2] / "dashboards"
BOARDS: dict[str, Any] = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
PANELS = [(name, p) for name, board in BOARDS.items() for p in board["panels"] if p["type"] != "row"]
COLOURS = {"green", "yellow", "orange", "red", "purple", "blue", "text"}
"""Names that Grafana gives a tone of in its light and in its dark theme."""
LEFT_OUT: dict[str, str] = {
    "driftd_webhook_disabled": "dead letters, which are shown, come with it",
    **dict.fromkeys((metric.name for metric in OTLP_METRICS), "only who sends by OTLP has them"),
    "process_virtual_memory_bytes": "what is held says more",
    "process_resident_memory_bytes": "shown under its other name, driftd_resident_memory_bytes",
    "driftd_registry_up": "of models with a registry only; the log says so too",
    "driftd_registry_versions": "of models with a registry only",
    "driftd_registry_evidence_total": "of models with a registry only; dead letters count it too",
}
"""Catalogued metrics that no dashboard shows, each with its reason."""

each_board = pytest.mark.parametrize("name", sorted(BOARDS))
each_panel = pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=lambda x: x if type(x) is str else x["title"]
)


def expressions(board: dict[str, Any]) -> Iterator[str]:
    """Yield what the dashboard asks Prometheus."""
    yield from (t["expr"] for p in board["panels"] for t in p.get("targets", ()))
    yield from (mark["expr"] for mark in board["annotations"].get("list", ()) if "expr" in mark)


def metrics(expression: str) -> set[str]:
    """Return the catalogue's names of the metrics in an expression."""
    found = re.findall(r"\b(?:driftd|process)_\w+", expression)
    return {name if name in BY_NAME else re.sub("_(bucket|sum|count)$", "", name) for name in found}


def test_there_are_three() -> None:
    assert set(BOARDS) == {"fleet", "model", "daemon"}


def test_the_files_are_what_the_code_makes() -> None:
    made = files()

    assert {path.name for path in FOLDER.glob("*.json")} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text("utf-8") == text, "run `python -m dashboards.building`"


@each_board
def test_the_sdk_reads_it_back(name: str) -> None:
    read = Dashboard.from_json(BOARDS[name])

    assert (read.uid, read.schema_version) == (f"driftd-{name}", 36)


@each_board
def test_numbers_of_panels_are_unique(name: str) -> None:
    numbers = [panel["id"] for panel in BOARDS[name]["panels"]]

    assert len(numbers) == len(set(numbers))


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(name: str, panel: dict[str, Any]) -> None:
    assert name in BOARDS
    assert panel["title"]
    assert re.search(r"^[A-Z1].*\.$", panel["description"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert (
        {t["datasource"]["uid"] for t in panel["targets"]}
        == {panel["datasource"]["uid"]}
        == {"${datasource}"}
    )


@each_panel
def test_a_panel_leads_to_its_runbook_and_to_the_status(name: str, panel: dict[str, Any]) -> None:
    runbook, status = panel["links"]

    assert re.fullmatch(r"\$\{runbooks\}/Driftd[A-Z]\w+\.md", runbook["url"])
    assert status["url"].startswith("/d/driftd-daemon?" if name == "fleet" else "http://${instance}/")


@each_panel
def test_no_panel_is_narrower_than_a_quarter(name: str, panel: dict[str, Any]) -> None:
    place = panel["gridPos"]

    assert name in BOARDS
    assert place["w"] >= 6
    assert place["x"] + place["w"] <= 24


@each_board
def test_no_panels_overlap(name: str) -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    for one, other in combinations(BOARDS[name]["panels"], 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


@each_board
def test_colours_are_thresholds_by_names_that_each_theme_knows(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text("utf-8")
    colours = set(re.findall(r'"(?:color|iconColor|fixedColor)": "([^"]*)"', text))

    assert colours <= COLOURS
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb", text)
    assert "style" not in BOARDS[name]
    modes = {p["fieldConfig"]["defaults"]["color"]["mode"] for board, p in PANELS if board == name}
    assert modes <= {"thresholds", "palette-classic"}


@each_board
def test_only_catalogued_metrics_with_labels_of_theirs(name: str) -> None:
    board = BOARDS[name]
    queries = [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    scraped = {"instance"}
    for expression in (*expressions(board), *queries):
        assert metrics(expression)
        assert metrics(expression) <= set(BY_NAME), expression
        for metric, selector in re.findall(r"\b(driftd_\w+)\{([^}]*)\}", expression):
            (known,) = metrics(metric)
            labels = set(re.findall(r'(\w+)\s*[!=]~?"', selector))
            assert labels <= {*BY_NAME[known].labels, *scraped}, expression


@each_board
def test_every_variable_in_use_is_there(name: str) -> None:
    board = BOARDS[name]
    there = {v["name"] for v in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(board)))

    assert used <= there
    assert there - {"datasource", "runbooks"} <= used


def test_the_model_is_chosen_step_by_step() -> None:
    variables = {v["name"]: v for v in BOARDS["model"]["templating"]["list"]}

    assert list(variables)[:5] == ["datasource", "model", "version", "segment", "feature"]
    for name, before in (("version", "model"), ("segment", "version"), ("feature", "segment")):
        assert f'{before}=~"${before}"' in variables[name]["query"].replace('model="$', 'model=~"$')
        assert variables[name]["query"].startswith("label_values(")
        assert variables[name]["query"].endswith(f", {name})")


def test_every_metric_is_shown_or_left_out_for_a_reason() -> None:
    shown = {m for board in BOARDS.values() for expression in expressions(board) for m in metrics(expression)}

    assert shown | set(LEFT_OUT) == {metric.name for metric in CATALOG}
    assert not shown & set(LEFT_OUT)


def test_a_stranger_gets_them_into_a_folder(tmp_path: Path) -> None:
    written = write_dashboards(tmp_path / "new" / "grafana")

    assert [path.name for path in written] == ["daemon.json", "fleet.json", "model.json"]
    assert all(path.read_bytes() == (FOLDER / path.name).read_bytes() for path in written)


def test_links_lead_to_ones_own_runbooks(tmp_path: Path) -> None:
    for path in write_dashboards(tmp_path, "https://wiki.example.org/runbooks/"):
        board = json.loads(path.read_text("utf-8"))
        before = BOARDS[path.stem]

        assert [v["query"] for v in board["templating"]["list"] if v["name"] == "runbooks"] == [
            "https://wiki.example.org/runbooks"
        ]
        assert board["panels"] == before["panels"]


@pytest.mark.parametrize("address", ["wiki/runbooks", "ftp://x/y", "https://"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(DriftdError, match=r"--runbooks: .* is no address; give one like https"):
        write_dashboards(tmp_path, address)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with pytest.raises(DriftdError, match=r"file/x: cannot write the dashboards: .*; choose another folder"):
        write_dashboards(tmp_path / "file" / "x")
