"""The text of /metrics is read back by others' parsers as the very same samples, whatever labels hold."""

import subprocess
import zlib
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from exporters.catalog import BY_NAME, CATALOG, Exemplar, Histogram, Sample
from exporters.negotiation import Format
from exporters.packing import Packer
from exporters.prometheus import Writer, pieces
from exporters.rows import Part, Row
from monitor.monitor_facts import MONITORS

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['a "quoted" one', "back\\slash", "line\nbreak", "\\n", '"', "\r", "\u2028", "é€😀", "a,b={}#", " "]
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(0, 2**53).map(float)
episodes = st.none() | st.builds(
    lambda name, at: Exemplar((("episode_id", name),), float(at)),
    st.from_regex(r"ep_[0-9a-f]{16}", fullmatch=True),  # made by driftd; the parser reads no quotes here
    st.integers(0, 4 * 10**9),
)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    """Draw samples of some metrics, each with labels of its own."""
    found: dict[tuple[str, tuple[str, ...]], Sample] = {}
    for metric in draw(st.lists(st.sampled_from(CATALOG), max_size=8)):
        labels = tuple(draw(words) for _ in metric.labels)
        if metric.kind == "histogram":
            counts = tuple(accumulate(draw(st.lists(st.integers(0, 9), min_size=10, max_size=10))))
            value: Any = Histogram(counts[:-1], draw(st.floats(0, 1e6)), counts[-1])
            found[metric.name, labels] = Sample(metric.name, labels, value)
        else:
            number = 1.0 if metric.kind == "info" else draw(whole if metric.kind == "counter" else numbers)
            mark = draw(episodes) if metric.kind == "counter" else None
            found[metric.name, labels] = Sample(metric.name, labels, number, mark)
    return list(found.values())


rows = st.lists(
    st.builds(
        Row,
        st.tuples(*[words] * 5),
        st.tuples(*[st.none() | numbers] * 4, whole),
        st.sampled_from(MONITORS.states),
        episodes,
    ),
    max_size=5,
    unique_by=lambda row: row.labels,
)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Draw what a page is made of: samples, and rows of monitors that no sample is of."""
    names = {*MONITORS.names, MONITORS.hot}
    others = [sample for sample in draw(samples()) if sample.name not in names]
    return [Part(others), Part((), draw(rows), MONITORS)]


def text_of(found: Iterable[Part], form: Format) -> str:
    return b"".join(pieces([Writer().text(part) for part in found], form)).decode()


def expected(found: Iterable[Part]) -> Found:
    """Return what a parser must find, by name and labels."""
    values: Found = {}
    for sample in (sample for part in found for sample in part.each()):
        labels = dict(zip(BY_NAME[sample.name].labels, sample.labels, strict=True))
        if isinstance(sample.value, Histogram):
            bounds = [*map(repr, sample.value.bounds), "+Inf"]
            for bound, n in zip(bounds, [*sample.value.counts, sample.value.count], strict=True):
                values[f"{sample.name}_bucket", of(labels | {"le": bound})] = n
            values[f"{sample.name}_count", of(labels)] = sample.value.count
            values[f"{sample.name}_sum", of(labels)] = sample.value.total
        else:
            values[sample.name, of(labels)] = sample.value
    return values


def of(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def parsed(text: str, reader: Callable[[str], Iterable[Any]]) -> Found:
    lines = [(s.name, of(s.labels), s.value) for family in reader(text) for s in family.samples]
    assert len({line[:2] for line in lines}) == len(lines)
    return {(name, labels): value for name, labels, value in lines}


@given(parts())
def test_both_formats_are_read_back_as_they_were_meant(found: list[Part]) -> None:
    assert parsed(text_of(found, Format.TEXT), read_text) == expected(found)
    assert parsed(text_of(found, Format.OPENMETRICS), read_openmetrics) == expected(found)


@given(parts())
def test_exemplars_are_of_their_counters_and_only_in_openmetrics(found: list[Part]) -> None:
    meant = {
        (s.name, s.labels): (dict(s.exemplar.labels), s.exemplar.seconds)
        for part in found
        for s in part.each()
        if s.exemplar is not None
    }
    families = read_openmetrics(text_of(found, Format.OPENMETRICS))  # type: ignore[no-untyped-call]  # no types
    read = {
        (s.name, tuple(map(s.labels.get, BY_NAME[s.name].labels))): (
            s.exemplar.labels,
            float(s.exemplar.timestamp),
        )
        for s in (s for family in families for s in family.samples)
        if s.exemplar is not None
    }
    assert read == meant
    assert not any(s.exemplar for family in read_text(text_of(found, Format.TEXT)) for s in family.samples)


@given(parts(), st.sampled_from(Format))
def test_a_writer_that_has_written_before_writes_the_same(found: list[Part], form: Format) -> None:
    writer = Writer()
    for part in found:
        writer.text(part)
    again = b"".join(pieces([writer.text(part) for part in found], form)).decode()
    assert again == text_of(found, form)


@given(st.lists(st.lists(st.binary(max_size=40) | st.integers(0, 3).map(lambda n: bytes([n]) * 20_000))))
def test_packed_pages_unpack_to_themselves(pages: list[list[bytes]]) -> None:
    packer = Packer()
    for page in pages:
        assert zlib.decompress(packer.pack(page), 31) == b"".join(page)


@pytest.mark.acceptance
@settings(max_examples=15, deadline=None)
@given(parts())
def test_promtool_has_nothing_to_say_whatever_labels_hold(
    program: Callable[[str], str], found: list[Part]
) -> None:
    text = text_of(found, Format.TEXT)
    said = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text.encode(), capture_output=True, check=False
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")
