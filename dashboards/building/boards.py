"""Whole dashboards: variables, rows on the grid, links and annotations; as the JSON that Grafana imports."""

import json
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.builders.dashboard import (
    ConstantVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
)
from grafana_foundation_sdk.builders.dashboard import Row as RowBuilder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.building.board import Board, Choice, Kept, Mark, Panel, Row
from dashboards.building.panels import SOURCE, built

COLUMNS = 24
"""Of Grafana's grid; at 1,280 pixels one is about 50 wide."""
RUNBOOKS = "https://runbooks.invalid"
"""Stands for where the pages of docs/runbooks are; `driftd dashboards write --runbooks` puts yours."""
TAG = "driftd"
MARKS = 500
"""The most annotations that are drawn, the newest ones."""


def as_json(board: Board) -> str:
    """Return the dashboard as Grafana imports it."""
    made = Dashboard(board.title).uid(board.uid).description(board.description).tags([TAG]).build()
    made.time, made.refresh = models.DashboardDashboardTime("now-7d", "now"), board.refresh
    made.time.from_val = board.since
    made.graph_tooltip = models.DashboardCursorSync.CROSSHAIR
    made.templating.list_val = list(_variables(board))
    made.annotations.list_val = [
        _kept(mark) if isinstance(mark, Kept) else _Annotation(mark) for mark in board.marks
    ]
    made.links = [_neighbours()]
    made.panels = _Grid(board).panels()
    return json.dumps(_without_theme(made), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def _without_theme(made: models.Dashboard) -> dict[str, object]:
    """Leave the theme to whoever looks; the SDK would ask for the dark one."""
    return {key: value for key, value in made.to_json().items() if key != "style"}


def _neighbours() -> models.DashboardLink:
    link = (
        DashboardLink("driftd")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(as_dropdown=True)
    )
    return link.keep_time(keep_time=True).build()


def _variables(board: Board) -> Iterator[models.VariableModel]:
    yield DatasourceVariable("datasource").label("Data source").type("prometheus").build()
    for choice in board.choices:
        yield _choice(choice)
    yield ConstantVariable("runbooks").description("Where the runbooks are.").value(RUNBOOKS).build()


def _choice(choice: Choice) -> models.VariableModel:
    """Return a variable of a label's values. All of them also stands for series without the label."""
    made = QueryVariable(choice.name).label(choice.title).description(choice.description).query(choice.query)
    made = made.datasource(SOURCE).refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made = made.sort(models.VariableSort.ALPHABETICAL_ASC)
    if choice.many:
        text, value = (choice.start, choice.start) if choice.start else ("All", "$__all")
        made = made.multi(multi=True).include_all(include_all=True).all_value(".*")
        made = made.current(models.VariableOption(selected=True, text=[text], value=[value]))
    return made.build()


def _kept(mark: Kept) -> models.AnnotationQuery:
    """Return a query of annotations in Grafana's own database."""
    source = models.DataSourceRef(type_val="grafana", uid="-- Grafana --")
    target = models.AnnotationTarget(limit=MARKS, match_any=False, tags=list(mark.tags), type_val="tags")
    return models.AnnotationQuery(name=mark.name, datasource=source, icon_color=mark.colour, target=target)


class _Annotation(models.AnnotationQuery):
    """A query whose points, next to each other, make one region; the SDK knows no title for it."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(name=mark.name, datasource=SOURCE, icon_color=mark.colour, expr=mark.expr)
        self._title = mark.title

    def to_json(self) -> dict[str, object]:
        """Return what Grafana reads, with the title."""
        return {**super().to_json(), "titleFormat": self._title, "step": "60s"}


class _Grid:
    """Places panels from left to right and from top to bottom, and numbers them."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._number = 0
        self._x = self._y = self._height = 0

    def panels(self) -> list[Any]:
        """Return rows and panels in the order in which Grafana wants them."""
        found: list[Any] = []
        for row in self._board.rows:
            found += self._row(row)
        return found

    def _row(self, row: Row) -> list[Any]:
        self._break()
        title = RowBuilder(row.title).id(self._next()).collapsed(row.collapsed).build()
        title.grid_pos = models.GridPos(h=1, w=COLUMNS, x=0, y=self._y)
        title.repeat = row.repeat or None
        self._y += 1
        panels = [self._panel(panel) for panel in row.panels]
        if row.collapsed:
            title.panels = panels
            return [title]
        return [title, *panels]

    def _panel(self, panel: Panel) -> models.Panel:
        if self._x + panel.width > COLUMNS:
            self._break()
        made = built(panel)
        made.id_val = self._next()
        made.grid_pos = models.GridPos(h=panel.height, w=panel.width, x=self._x, y=self._y)
        made.links = [link.build() for link in self._links(panel)]
        self._x += panel.width
        self._height = max(self._height, panel.height)
        return made

    def _links(self, panel: Panel) -> Iterator[DashboardLink]:
        title, url = self._board.status
        runbook = f"${{runbooks}}/{panel.runbook}.md"
        for name, address in (("Runbook", runbook), (title, url)):
            yield (
                DashboardLink(name)
                .type(models.DashboardLinkType.LINK)
                .url(address)
                .target_blank(target_blank=True)
            )

    def _break(self) -> None:
        self._y += self._height
        self._x = self._height = 0

    def _next(self) -> int:
        self._number += 1
        return self._number
