"""Samples as Prometheus text or OpenMetrics 1.0, fast enough to be scraped while the daemon works.

A series' name and labels are put into words once and kept; a scrape adds the numbers. The library for this,
prometheus_client, takes a second for 100,000 series and keeps all other threads waiting meanwhile; its two
parsers are what the tests read this file's output with.

No `_created` series: driftd's counters go on over restarts, and Prometheus stores each as one more series.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct, field

from exporters.catalog import BY_NAME, CATALOG, Exemplar, Histogram, Sample
from exporters.metric import Metric
from exporters.negotiation import Format, preferred
from exporters.rows import Part, Shape

ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
SPARE = 1000
"""Series that are gone may stay in the memory of a part until there are so many beside the present ones."""
number = float.__repr__
Marks = dict[str, dict[int, str]]
"""Metric -> place of a line -> its exemplar, in words."""


class Text(Struct, frozen=True):
    """Lines by metric. exemplars: of the metrics that have any, the lines with them."""

    lines: dict[str, bytes]
    exemplars: dict[str, bytes] = field(default_factory=dict)


def render(samples: Sequence[Sample], accept: str = "") -> tuple[bytes, str]:
    """Return the exposition and its content type; OpenMetrics when `accept` asks for it."""
    form = preferred(accept)
    return b"".join(pieces([Writer().text(Part(samples))], form)), form.value


def pieces(texts: Sequence[Text], form: Format) -> list[bytes]:
    """Return a page of texts, in pieces: each metric's head, then its lines of all texts."""
    found: list[bytes] = []
    for metric in CATALOG:
        if form is Format.OPENMETRICS:
            lines = [t.exemplars.get(metric.name) or t.lines.get(metric.name, b"") for t in texts]
        else:
            lines = [t.lines.get(metric.name, b"") for t in texts]
        if any(lines):
            found.append(_head(metric, form).encode())
            found += lines
    if form is Format.OPENMETRICS:
        found.append(b"# EOF\n")
    return found


def _head(metric: Metric, form: Format) -> str:
    if form is Format.TEXT:
        kind = "gauge" if metric.kind == "info" else metric.kind
        return f"# HELP {metric.name} {metric.help.translate(HELP_ESCAPES)}\n# TYPE {metric.name} {kind}\n"
    name = metric.name.removesuffix({"counter": "_total", "info": "_info"}.get(metric.kind, ""))
    unit = f"# UNIT {name} {metric.unit}\n" if metric.unit and name.endswith(f"_{metric.unit}") else ""
    return f"# HELP {name} {metric.help.translate(ESCAPES)}\n# TYPE {name} {metric.kind}\n{unit}"


class _Words(NamedTuple):
    """What a row's series are called. hot: lines of the one-hot metric by state, as states are met."""

    inner: str
    prefixes: tuple[str, ...]
    hot: dict[str, str]


class Writer:
    """Puts one part into words, again and again; used by one thread at a time."""

    def __init__(self) -> None:
        self._prefixes: dict[tuple[str, tuple[str, ...]], str] = {}
        self._words: dict[tuple[str, ...], _Words] = {}

    def text(self, part: Part) -> Text:
        """Return a part's lines."""
        lines: defaultdict[str, list[str]] = defaultdict(list)
        marks: Marks = defaultdict(dict)
        self._samples(part.samples, lines, marks)
        if part.rows:
            self._rows(part, lines, marks)
        self._forget(len(part.samples), len(part.rows))
        plain = {name: "".join(found).encode("utf-8", "replace") for name, found in lines.items()}
        return Text(plain, {name: _marked(lines[name], places) for name, places in marks.items()})

    def _samples(self, samples: Iterable[Sample], lines: dict[str, list[str]], marks: Marks) -> None:
        known = self._prefixes
        for sample in samples:
            name, labels, value = sample.name, sample.labels, sample.value
            if isinstance(value, Histogram):
                lines[name] += _histogram(BY_NAME[name], labels, value)
                continue
            prefix = known.get((name, labels))
            if prefix is None:
                known[name, labels] = prefix = _prefix(name, BY_NAME[name].labels, labels)
            if sample.exemplar is not None:
                marks[name][len(lines[name])] = _exemplar(sample.exemplar)
            lines[name].append(f"{prefix}{number(float(value))}\n")

    def _rows(self, part: Part, lines: dict[str, list[str]], marks: Marks) -> None:
        shape, known = part.shape, self._words
        columns, hot = [lines[name] for name in shape.names], lines[shape.hot]
        for labels, values, state, exemplar in part.rows:
            words = known.get(labels)
            if words is None:
                known[labels] = words = _named(shape, labels)
            if exemplar is not None:
                marks[shape.names[shape.counter]][len(columns[shape.counter])] = _exemplar(exemplar)
            for column, prefix, value in zip(columns, words.prefixes, values, strict=True):
                if value is not None:
                    column.append(f"{prefix}{number(value)}\n")
            said = words.hot.get(state)
            if said is None:
                words.hot[state] = said = _one_hot(shape, words.inner, state)
            hot.append(said)

    def _forget(self, samples: int, rows: int) -> None:
        """Let go of the words of series that are gone."""
        if len(self._prefixes) > 2 * samples + SPARE:
            self._prefixes.clear()
        if len(self._words) > 2 * rows + SPARE:
            self._words.clear()


def _inner(keys: Sequence[str], labels: Sequence[str]) -> str:
    return ",".join([f'{k}="{v.translate(ESCAPES)}"' for k, v in sorted(zip(keys, labels, strict=True))])


def _prefix(name: str, keys: Sequence[str], labels: Sequence[str]) -> str:
    """Return a series up to its value."""
    return f"{name}{{{_inner(keys, labels)}}} " if keys else f"{name} "


def _named(shape: Shape, labels: Sequence[str]) -> _Words:
    inner = _inner(BY_NAME[shape.hot].labels[:-1], labels)
    return _Words(inner, tuple([f"{name}{{{inner}}} " for name in shape.names]), {})


def _one_hot(shape: Shape, inner: str, state: str) -> str:
    key = BY_NAME[shape.hot].labels[-1]
    values = ((each, "1.0" if each == state else "0.0") for each in shape.states)
    return "".join([f'{shape.hot}{{{inner},{key}="{each}"}} {value}\n' for each, value in values])


def _histogram(metric: Metric, labels: tuple[str, ...], value: Histogram) -> list[str]:
    keys = (*metric.labels, "le")
    buckets = [*zip(map(number, map(float, value.bounds)), value.counts, strict=True), ("+Inf", value.count)]
    lines = [f"{_prefix(f'{metric.name}_bucket', keys, (*labels, le))}{float(n)}\n" for le, n in buckets]
    count, total = (_prefix(f"{metric.name}_{what}", metric.labels, labels) for what in ("count", "sum"))
    return [*lines, f"{count}{float(value.count)}\n", f"{total}{float(value.total)}\n"]


def _exemplar(exemplar: Exemplar) -> str:
    """Return what follows a counter's value; one exemplar stands for one thing counted."""
    inner = ",".join(f'{key}="{value.translate(ESCAPES)}"' for key, value in exemplar.labels)
    return f" # {{{inner}}} 1.0 {number(exemplar.seconds)}"


def _marked(lines: Sequence[str], places: dict[int, str]) -> bytes:
    found = [f"{line[:-1]}{places[at]}\n" if at in places else line for at, line in enumerate(lines)]
    return "".join(found).encode("utf-8", "replace")
