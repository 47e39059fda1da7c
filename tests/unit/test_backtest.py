"""A history through the daemon's own pipeline, in memory."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from monitor.backtest import Progress, Replay, Wishes, backtest, history_bytes, only
from monitor.clock import ManualClock
from monitor.config import Config
from monitor.core.policy import Phase
from monitor.daemon import Daemon
from monitor.errors import ConfigError, DriftdError
from monitor.injection import parse_injection
from monitor.store.memory import MemoryStore
from monitor.truth import Incident
from tests.histories import CONFIG, RETRAIN, ROWS, at, configured, incident, rows

CLOCK = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
MOVED = "feature=x shift=2sd from=2026-03-01T06:00:00Z"


def history(folder: Path, hours: int = 12, name: str = "a.jsonl", *, shifted: bool = False) -> None:
    """Write a log; shifted: x moves by 2 from hour 6 to hour 9."""
    frame = rows(hours, shift=lambda hour: 2.0 if shifted and 6 <= hour < 9 else 0.0)
    frame.write_ndjson(folder / "logs" / name)


def run(config: Config, wishes: Wishes | None = None) -> tuple[Replay, ...]:
    return backtest(config, wishes or Wishes(), CLOCK, lambda _: None)


def ran(folder: Path, wishes: Wishes | None = None, *, shifted: bool = False) -> Replay:
    config = configured(folder)
    history(folder, shifted=shifted)
    (found,) = run(config, wishes)
    return found


def wished(*texts: str, strict: bool = True) -> Wishes:
    return Wishes((), tuple(map(parse_injection, texts)), strict)


def test_the_whole_history_is_read_and_every_window_closed(tmp_path: Path) -> None:
    found = ran(tmp_path)

    assert found.state.book.total("stored") == 12 * ROWS
    assert (found.state.book.windows_closed, len(found.state.windows)) == (12, 0)
    assert (found.first, found.last) == (at(0), at(12))
    assert found.monitors == 2
    assert found.episodes == ()


def test_nothing_is_written(tmp_path: Path) -> None:
    config = configured(tmp_path)
    history(tmp_path, shifted=True)
    before = sorted(tmp_path.rglob("*"))

    run(config)

    assert not config.daemon.state.exists()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_shift_is_an_episode_with_its_begin_and_end(tmp_path: Path) -> None:
    (found,) = ran(tmp_path, shifted=True).episodes

    assert (found.key.feature, found.key.detector, found.kind) == ("x", "ks", "drift")
    assert (found.started, found.ended) == (at(6), at(10))
    assert found.known == at(7) + 10 * 60 * 10**6
    assert found.causes == ("x", "colour")


def test_episodes_are_those_of_the_daemon(tmp_path: Path) -> None:
    config = configured(tmp_path)
    history(tmp_path, 8, shifted=True)
    daemon = Daemon(config, MemoryStore(), CLOCK)
    daemon.ingest()
    daemon.flush()
    trips = daemon.models[0].worker.state.trips
    daemon.close()

    (found,) = run(config)

    assert {e.key: e.id for e in found.episodes} == {
        key: trip.episode for key, trip in trips.items() if trip.phase is Phase.FIRING
    }
    assert len(found.episodes) == 1
    assert found.state.trips == trips


def test_incidents_are_those_of_the_model_in_their_order(tmp_path: Path) -> None:
    known = (incident(9), replace(incident(3), model="other"), incident(2))
    found = ran(tmp_path, Wishes(known, (parse_injection(MOVED),)))

    assert [i.start for i in found.incidents] == [at(2), at(6), at(9)]


def test_an_injected_shift_is_seen(tmp_path: Path) -> None:
    found = ran(tmp_path, wished(MOVED))

    assert [(e.key.feature, e.started, e.ended) for e in found.episodes] == [("x", at(6), None)]
    assert found.injected == {MOVED: 6 * ROWS}


def test_an_injected_share_is_seen(tmp_path: Path) -> None:
    found = ran(tmp_path, wished("feature=colour share=blue:+40% from=2026-03-01T06:00:00Z"))

    assert [(e.key.feature, e.started) for e in found.episodes] == [("colour", at(6))]


def test_an_injection_names_its_model(tmp_path: Path) -> None:
    config = configured(tmp_path, CONFIG + CONFIG.replace('name = "m"', 'name = "n"'))
    history(tmp_path)

    one, other = run(config, wished(f"{MOVED} model=n"))

    assert (one.plan.name, len(one.episodes), one.injected) == ("m", 0, {})
    assert (other.plan.name, len(other.episodes)) == ("n", 1)


def test_wishes_that_concern_no_model_are_refused_all_at_once(tmp_path: Path) -> None:
    wishes = wished(MOVED.replace("=x", "=y"), f"{MOVED} model=k")
    known = (Incident("m", 0, feature="color", origin="truth.csv:2"),)

    with pytest.raises(ConfigError) as caught:
        ran(tmp_path, replace(wishes, incidents=known))

    assert [line.partition(": ")[2] for line in caught.value.complaints] == [
        'm watches no feature "color"; did you mean "colour"?',
        'no feature "y" is watched; write one of "colour", "x"',
        'there is no model "k"; write "m"',
    ]


def test_the_other_side_of_a_comparison_leaves_them_out(tmp_path: Path) -> None:
    found = ran(tmp_path, wished(MOVED.replace("=x", "=y"), strict=False))

    assert (found.incidents, found.injected) == ((), {})


def test_incidents_of_no_single_feature_are_fine(tmp_path: Path) -> None:
    assert ran(tmp_path, Wishes((incident(1, feature="_all"),))).incidents


def test_webhooks_are_kept_and_not_sent(tmp_path: Path) -> None:
    config = configured(tmp_path, CONFIG + RETRAIN)
    history(tmp_path, shifted=True)

    (found,) = run(config)

    (note,) = found.notes
    assert (note.endpoint, note.model, note.created, note.attempts) == ("training", "m", at(7), 0)


def test_a_reference_from_the_log_judges_what_comes_after_it(tmp_path: Path) -> None:
    config = configured(tmp_path, CONFIG.replace('path = "reference.parquet"', 'first = "4h"'))
    history(tmp_path, shifted=True)

    (found,) = run(config)

    assert (found.first, found.last, found.state.book.windows_closed) == (at(4), at(12), 12)
    assert [(e.started, e.ended) for e in found.episodes] == [(at(6), at(10))]


def test_progress_is_told_with_rows_and_event_time(tmp_path: Path) -> None:
    config = configured(tmp_path)
    history(tmp_path)
    told: list[Progress] = []

    backtest(config, Wishes(), CLOCK, told.append)

    newest = at(12) - 3600 * 10**6 // ROWS
    assert told[-1] == Progress("m", 12 * ROWS, newest, history_bytes(config) or 0)


def test_several_models_have_one_progress(tmp_path: Path) -> None:
    config = configured(tmp_path, CONFIG + CONFIG.replace('name = "m"', 'name = "n"'))
    history(tmp_path)
    told: list[Progress] = []

    backtest(config, Wishes(), CLOCK, told.append)

    done = [at.done for at in told]
    assert done == sorted(done)
    assert done[-1] == history_bytes(config)


def test_a_history_of_no_rows_is_no_error(tmp_path: Path) -> None:
    (found,) = run(configured(tmp_path))

    assert (found.first, found.episodes, found.state.book.windows_closed) == (None, (), 0)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = configured(tmp_path)
    history(tmp_path)
    path = tmp_path / "logs" / "b.jsonl"
    path.symlink_to(path)

    (found,) = run(config)

    assert found.state.book.total("stored") == 12 * ROWS
    assert found.problems == (f"{path}: [Errno 40] Too many levels of symbolic links: '{path}'",)
    assert history_bytes(config) is None


def test_compressed_and_columnar_logs_do_not_tell_how_long_they_are(tmp_path: Path) -> None:
    config = configured(tmp_path, CONFIG.replace("*.jsonl", "*"))
    history(tmp_path, 1)
    path = tmp_path / "logs" / "a.jsonl"

    assert history_bytes(config) == path.stat().st_size
    (tmp_path / "logs" / "b.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert history_bytes(config) is None
    columnar = configured(
        tmp_path, CONFIG.replace("*.jsonl", "*.parquet").replace(" }]\nm", ', format = "parquet" }]\nm')
    )
    assert history_bytes(columnar) is None


def test_a_columnar_log_is_read_too(tmp_path: Path) -> None:
    text = CONFIG.replace("*.jsonl", "*.parquet").replace(" }]\nm", ', format = "parquet" }]\nm')
    config = configured(tmp_path, text)
    rows(8).write_parquet(tmp_path / "logs" / "a.parquet")

    (found,) = run(config, wished(MOVED))

    assert (found.state.book.total("stored"), len(found.episodes)) == (8 * ROWS, 1)


def test_one_model_can_be_chosen(tmp_path: Path) -> None:
    config = configured(tmp_path, CONFIG + CONFIG.replace('name = "m"', 'name = "n"'))

    assert [m.name for m in only(config, "n").models] == ["n"]
    assert only(config, None) is config
    with pytest.raises(DriftdError, match=r'^there is no model "k"; the configuration has m, n$'):
        only(config, "k")
