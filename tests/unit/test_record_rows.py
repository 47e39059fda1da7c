"""The rows of audit records: what heavy monitors and streams saw, kept within bounds, and computed again."""

import io
from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from detectors.alibi_arrays import request
from detectors.joint import Asked, Comparison, Joint
from detectors.stream_choice import make_stream
from detectors.streaming import Stream
from monitor.clock import ManualClock
from monitor.comparing import Here
from monitor.config import Alarms, Monitor
from monitor.core import row_files
from monitor.core.episode_log import EpisodeRecord, episode_changes, followed
from monitor.core.heavy import ALIBI, POOL
from monitor.core.records import AuditRecord, NotAgainError
from monitor.core.row_files import bounded, joint_file, joint_of
from monitor.core.stream_trails import STRETCH, Tape, Trail, taped
from monitor.core.verifying import EQUAL, PARTLY, UNEQUAL, verify
from monitor.heavy_lanes import HeavyLanes
from monitor.store.memory import MemoryStore
from tests.audits import records
from tests.lives import NOW, Cut, Process
from tests.logs import Row, mean_judge, model

PER_MINUTE = 20
OWN = ("mmd", "domain_classifier")


class Apart:
    """Stands for alibi-detect: the score is how far the columns' means are apart."""

    def compare(self, asked: Asked) -> Comparison:
        """Compare."""
        score = abs(float(asked.reference.numeric.mean() - asked.window.numeric.mean()))
        return Comparison(score, 1.0, 0.5, score)

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def kept() -> dict[str, AuditRecord]:
    """Return the records of a log whose x moves, by detector."""
    rng, store = np.random.default_rng(3), MemoryStore()
    rows = [
        Row(f"{minute}-{i}", minute * 60 + i, float(x), "red" if i % 3 else "blue")
        for minute, shift in enumerate([0, 0, 9, 9])
        for i, x in enumerate(rng.normal(shift, 0.5, PER_MINUTE))
    ]
    names = (*OWN, "alibi.tabular")
    monitors = tuple(Monitor(detector=name) for name in names)
    made = model(monitors=monitors, alarms=Alarms(min_rows=10, keep_firing=1))
    heavy = HeavyLanes(ManualClock(NOW), {POOL: Here(), ALIBI: Apart()})
    Process(made, store, mean_judge(), heavy=heavy).run(Cut(rows, ()), flush=True)
    found = {record.head["monitor"]["detector"]: record for record in records(store.load()).values()}
    return {name: record for name, record in found.items() if name in names}


def test_what_heavy_monitors_say_comes_out_of_the_rows_they_saw(kept: Mapping[str, AuditRecord]) -> None:
    assert set(kept) == {*OWN, "alibi.tabular"}
    for name in OWN:
        found = verify(kept[name])
        assert (found.says, found.lacking) == (EQUAL, ""), name
    assert kept["mmd"].hashes["reference"] == kept["domain_classifier"].hashes["reference"]
    assert AuditRecord.load(kept["mmd"].dump()).files == {}


def test_without_its_rows_a_verdict_is_verified_in_part(kept: Mapping[str, AuditRecord]) -> None:
    found = verify(replace(kept["mmd"], files={}))
    assert found.says == PARTLY
    assert "the rows it was computed from are not at hand" in found.lacking


@pytest.mark.parametrize("name", OWN)
def test_other_rows_sealed_anew_give_another_score(kept: Mapping[str, AuditRecord], name: str) -> None:
    record = kept[name]
    rows = joint_of(record.files["window"])
    moved = joint_file(replace(rows, numeric=rows.numeric - 8.5))
    found = verify(AuditRecord.of(record.head, record.arrays, {**record.files, "window": moved}))
    assert found.sealed
    assert found.says == UNEQUAL


def test_alibi_detect_is_asked_again_where_it_is(kept: Mapping[str, AuditRecord]) -> None:
    record = kept["alibi.tabular"]

    def absent(*_: object) -> Comparison:
        raise NotAgainError("no alibi-detect")

    assert verify(record, Apart().compare).says == EQUAL
    for found in (verify(record, absent), verify(record)):
        assert found.says == PARTLY
        assert "taken as recorded" in found.lacking
    assert verify(record, absent).lacking.startswith("no alibi-detect: ")


@pytest.mark.parametrize("numbers", [np.float64, np.float16])
def test_rows_come_back_as_they_were(numbers: type[np.floating]) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(50, 3)).astype(numbers).astype(np.float64)
    values[4, 1] = np.nan
    codes = rng.integers(-1, 4, (50, 2)).astype(np.int32)
    for rows in (
        Joint(("a", "b", "c", "d", "e"), values, codes),
        Joint(("a", "b", "c"), values, codes[:, :0]),
        Joint.of_coordinates("text", values),
        Joint.of_coordinates("text", values[:0]),
        Joint.of_vectors("text", rng.normal(size=(50, 4)).astype(np.float16)),
    ):
        again = joint_of(joint_file(rows))
        assert (again.columns, again.vectors) == (rows.columns, rows.vectors)
        assert (again.numeric.dtype.str, again.codes.dtype.str) == ("<f8", "<i4")
        np.testing.assert_array_equal(again.numeric, rows.numeric)
        np.testing.assert_array_equal(again.codes, rows.codes)


@pytest.mark.parametrize("shape", [(2000, 200), (520, 768)])
def test_an_embeddings_sample_has_room_in_a_file(shape: tuple[int, int]) -> None:
    vectors = np.random.default_rng(1).normal(size=shape).astype(np.float16)
    data = joint_file(Joint.of_vectors("text", vectors))
    assert len(data) < vectors.nbytes + 4096 < 810_000
    assert bounded({"window": data}) == ({"window": data}, {})


def test_an_embeddings_rows_of_a_record_before_they_said_so_are_columns() -> None:
    data = io.BytesIO()
    pl.DataFrame({f"text[{place}]": np.array([0.5, place], np.float32) for place in (0, 1)}).write_ipc(data)
    rows = joint_of(data.getvalue())
    assert (rows.columns, rows.vectors, rows.numeric.tolist()) == (
        ("text[0]", "text[1]"),
        False,
        [[0.5, 0.5], [0.0, 1.0]],
    )


def test_alibi_detect_is_asked_the_same_of_an_embedding() -> None:
    rng, spreads = np.random.default_rng(2), np.array([10.0, 1.0, 1.0, 0.01])
    reference, window = (
        Joint.of_vectors("text", (rng.normal(size=(100, 4)) * spreads + shift).astype(np.float16))
        for shift in (0.0, 0.5)
    )
    asked = request("alibi.mmd", reference, window, {}, 1)
    again = request("alibi.mmd", joint_of(joint_file(reference)), joint_of(joint_file(window)), {}, 1)
    np.testing.assert_array_equal(asked.reference, again.reference)
    np.testing.assert_array_equal(asked.window, again.window)


def test_a_record_says_what_was_too_large(
    kept: Mapping[str, AuditRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_files, "MOST", 100)
    record = kept["mmd"]
    files, left_out = bounded({**record.files, "small": b"1"})
    assert set(files) == {"small"}
    told = AuditRecord.of({**record.head, **left_out}, record.arrays, files)
    found = verify(told)
    assert found.says == PARTLY
    assert "its rows are too many to be kept: reference has" in found.lacking


def episode(number: int, *files: tuple[str, int]) -> EpisodeRecord:
    return EpisodeRecord(f"ep_{number}", "", "all", "x", "mmd", "drift", number, number, kept=files)


def test_the_oldest_episodes_rows_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "MOST_OF_ALL", 100)
    shared = ("reference", 40)
    before = {"ep_1": episode(1, shared, ("w1", 30)), "ep_2": episode(2, shared, ("w2", 30))}
    after = followed(before, {}, [], [episode(3, shared, ("w3", 20))])

    assert {id_: len(one.kept) for id_, one in after.items()} == {"ep_1": 0, "ep_2": 2, "ep_3": 2}
    changes = episode_changes("m", before, after)
    assert changes["audit_rows", "m", "w1"] is None
    assert ("audit_rows", "m", "reference") not in changes


def resumed(data: bytes) -> Stream:
    made = make_stream("adwin", {})
    made.load(data)
    return made


def test_the_way_to_an_alarm_is_short_and_the_same_wherever_the_rows_are_cut() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(np.repeat([0.0, 4.0, 0.0], [1730, 400, 900]), 1.0)
    whole = make_stream("adwin", {}).feed(values)
    place, score = int(whole.rows[0]), float(whole.scores[0])
    tapes = []
    for cuts in ([0, 3030], [0, 400, 500, 1500, 1800, 3030], [*range(0, 3030, 7), 3030]):
        found: dict[int, Tape] = {}
        stream, trail = make_stream("adwin", {}), Trail()
        for first, last in pairwise(cuts):
            begun, part = stream.dump(), values[first:last]
            peaks = [(0, place - first, score)] if first <= place < last else []
            found = taped(found, trail, part, peaks, partial(resumed, begun))
            at = trail.mark(len(part))
            stream.feed(part[: max(at, 0)])
            state = stream.dump()
            stream.feed(part[max(at, 0) :])
            trail = trail.then(part, state)
        tapes.append(found[0])
        fresh = make_stream("adwin", {})
        assert fresh.load(found[0].data) == ""
        led = np.frombuffer(found[0].values)
        assert len(led) <= STRETCH
        assert fresh.feed(led).rows.tolist() == [place]
    assert tapes[0] == tapes[1] == tapes[2]
