"""What a dashboard says, without how Grafana writes it."""

from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

Kind = Literal["lines", "number", "table", "bars", "states", "heat"]
Steps = tuple[tuple[float | None, str], ...]
"""Thresholds, lowest first: from which value on, and a colour by a name that has a tone in each theme."""

HARM: Steps = ((None, "green"), (1, "red"))
"""A quotient's, or a count's, that means harm from 1 on."""
DIFFERENCE: Steps = ((None, "green"), (1, "orange"))
"""A quotient's, or a count's, that means from 1 on that something is different, not that it is worse."""
TIMES = "suffix: x"
"""The unit of a quotient of score and threshold."""
QUOTIENT: Steps = ((None, "green"), (0.75, "yellow"), (1, "red"))
LEVEL: Steps = ((None, "green"), (1, "blue"), (2, "yellow"), (3, "purple"), (4, "red"))
LEVELS = ("ok", "partly not judged", "pending", "error", "firing")
"""What the numbers of `levels()` say, each a step of LEVEL."""
PLAIN: Steps = ((None, "text"),)


@dataclass(frozen=True, slots=True)
class Query:
    """One expression. name: its legend, or its column's title; unit, steps: its column's own, in tables."""

    expr: str
    name: str = ""
    unit: str = ""
    steps: Steps = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. unit: as Grafana names it; runbook: the alert whose page says what to do; width: of 24.

    steps: thresholds, drawn as lines where there are lines. texts: what the numbers 0, 1, ... say.
    matrix: the labels that name a table's rows and columns. hidden: columns left out of a table. sort:
    columns that a table is sorted by, largest first. links: a column, and where a click on its cells leads.
    """

    kind: Kind
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    _: KW_ONLY
    runbook: str
    width: int = 12
    height: int = 8
    steps: Steps = PLAIN
    texts: tuple[str, ...] = ()
    stacked: bool = False
    most: float | None = None
    matrix: tuple[str, str] | None = None
    hidden: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a title. repeat: the variable for each of whose values there is such a row."""

    title: str
    panels: tuple[Panel, ...]
    repeat: str = ""
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable: the values that a label has. start: chosen at first, "" for all of them.

    many: whether several can be chosen, or all.
    """

    name: str
    title: str
    description: str
    query: str
    many: bool = True
    start: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Times at which a series is there, drawn into every panel. title: with {{labels}}."""

    name: str
    expr: str
    title: str
    colour: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Annotations that Grafana keeps, drawn into every panel: those that have all of the tags."""

    name: str
    tags: tuple[str, ...]
    colour: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. status: where a panel's second link leads, as its title and address."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    status: tuple[str, str]
    choices: tuple[Choice, ...] = ()
    marks: tuple[Mark | Kept, ...] = field(default=())
    since: str = "now-7d"
    refresh: str = "1m"


def number(
    title: str, description: str, unit: str, expr: str, steps: Steps = PLAIN, *, runbook: str
) -> Panel:
    """Return a panel of one large number, a quarter of the width."""
    return Panel(
        "number", title, description, unit, (Query(expr),), runbook=runbook, width=6, height=4, steps=steps
    )


def levels(by: str, *series: str) -> str:
    """Return the expression of the gravest state, as its place in LEVELS.

    series: one-hot state metrics with an open list of selectors, as `driftd_drift_state{model="a"`.
    """
    ranks = ("ok", "insufficient_data|no_reference|stale", "pending", "error", "firing")
    each = [f'{one}, state=~"{states}"}} * {rank}' for one in series for rank, states in enumerate(ranks)]
    return f"max by ({by}) ({' or '.join(each)})"
