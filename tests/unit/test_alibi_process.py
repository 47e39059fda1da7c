"""The process that runs alibi-detect, as a stand-in plays it: answers, troubles, and going on after them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detectors.joint import Asked, Comparison, Joint
from monitor.alibi_asking import AlibiDetect
from monitor.alibi_table import Alibi
from monitor.clock import SystemClock
from monitor.comparing import Failure
from tests.alibi_stand_in import MODES
from tests.programs import eventually

STAND_IN = Path(__file__).parents[1] / "alibi_stand_in.py"
RNG = np.random.default_rng(3)
SIDE = Joint(("secret",), RNG.normal(123.456, 1.0, (50, 1)), np.zeros((50, 0), np.int32))


MUCH = "alibi-detect needs more than 1GiB of memory ([alibi] memory, or the option rows)"


def table(timeout: str = "60s", python: str = sys.executable) -> Alibi:
    return Alibi.model_validate({"python": Path(python), "timeout": timeout, "memory": "1GiB"})


@pytest.fixture
def alibi() -> Iterator[AlibiDetect]:
    asked = AlibiDetect(table(), SystemClock(), STAND_IN)
    yield asked
    asked.close()


def ask(alibi: AlibiDetect, mode: str, detector: str = "alibi.ks") -> Comparison | Failure:
    return alibi.compare(Asked(detector, SIDE, SIDE, 1e-3, {}, MODES.index(mode)))


def test_nothing_runs_until_it_is_asked_and_one_process_answers_all(alibi: AlibiDetect) -> None:
    assert (alibi.pid, alibi.samples()) == (None, [])

    found = [ask(alibi, "answer"), ask(alibi, "print"), ask(alibi, "answer")]

    assert all(isinstance(one, Comparison) and one.pvalue == 0.5 and one.effect == 0.25 for one in found)
    assert {(s.name, s.value) for s in alibi.samples()} == {
        ("driftd_alibi_up", 1.0),
        ("driftd_alibi_starts_total", 1),
    }


@pytest.mark.parametrize(
    ("mode", "reason", "says"),
    [
        ("die", "died", "the process of alibi-detect was ended by signal 9; it is started again"),
        ("memory", "memory", MUCH),
        ("raise", "raised", "alibi-detect's KSDrift raised RuntimeError"),
        ("nonsense", "raised", "alibi.ks: alibi-detect's answer has no finite pvalues"),
    ],
)
def test_a_trouble_is_a_failure_that_says_why_and_the_next_question_is_answered(
    alibi: AlibiDetect, mode: str, reason: str, says: str
) -> None:
    failure, after = ask(alibi, mode), ask(alibi, "answer")

    assert failure == Failure(reason, says)
    assert isinstance(after, Comparison)


def test_no_answer_in_time_ends_it(alibi: AlibiDetect) -> None:
    ask(alibi, "answer")
    alibi.configure(table("5s"))

    failure = ask(alibi, "hang")

    assert isinstance(failure, Failure)
    assert failure.reason == "hung"
    assert failure.note.startswith("alibi-detect gave no answer within 5s and was ended; it is started again")
    assert isinstance(ask(alibi, "answer"), Comparison)


def test_another_configuration_waits_for_no_answer(alibi: AlibiDetect) -> None:
    found: list[Comparison | Failure] = []
    ask(alibi, "answer")
    alibi.configure(table("3s"))
    thread = threading.Thread(target=lambda: found.append(ask(alibi, "hang")))
    thread.start()
    eventually(alibi._lock.locked)  # noqa: SLF001 - it is at work

    alibi.configure(table("50s"))
    waited = not found
    thread.join(30)
    after = ask(alibi, "answer")

    assert waited
    assert isinstance(found[0], Failure)
    assert isinstance(after, Comparison)
    assert alibi.table == table("50s")


def test_what_its_own_children_hold_open_is_not_waited_for(alibi: AlibiDetect) -> None:
    failure = ask(alibi, "leave")

    assert isinstance(failure, Failure)
    assert failure.reason == "died"


def test_what_ends_a_whole_service_does_not_end_it(alibi: AlibiDetect) -> None:
    ask(alibi, "answer")
    first = alibi.pid
    assert first is not None
    os.kill(first, signal.SIGTERM)

    assert isinstance(ask(alibi, "answer"), Comparison)
    assert alibi.pid == first


def test_one_that_is_killed_between_two_questions_is_started_again(alibi: AlibiDetect) -> None:
    ask(alibi, "answer")
    first = alibi.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: alibi.pid is None)

    assert isinstance(ask(alibi, "answer"), Comparison)
    assert alibi.pid not in (None, first)


def test_without_an_environment_it_says_what_to_do_and_finds_one_that_comes(tmp_path: Path) -> None:
    python = tmp_path / "python"
    alibi = AlibiDetect(table(python=str(python)), SystemClock(), STAND_IN)
    failure = ask(alibi, "answer")
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    after = ask(alibi, "answer")
    alibi.close()

    says = f"no alibi-detect: run `make alibi` or `driftd alibi install`; [alibi] python is {python}"
    assert failure == Failure("absent", says)
    assert isinstance(after, Comparison)


def test_what_needs_pytorch_says_so_where_there_is_none(alibi: AlibiDetect) -> None:
    failure = ask(alibi, "answer", "alibi.mmd")

    says = "alibi.mmd needs PyTorch: run `make alibi-torch` or `driftd alibi install --torch`"
    assert failure == Failure("torch", says)


def test_rows_that_are_not_for_the_detector_are_refused_and_start_nothing(alibi: AlibiDetect) -> None:
    assert ask(alibi, "answer", "alibi.chi2") == Failure(
        "refused", "alibi.chi2 takes categorical columns, not secret"
    )
    assert alibi.pid is None


def test_whoever_waits_is_let_go_when_driftd_ends(alibi: AlibiDetect) -> None:
    ask(alibi, "die")
    alibi.close()

    assert ask(alibi, "answer") == Failure("stopped", "the daemon stops")
    assert alibi.pid is None


def test_it_does_not_outlive_who_started_it() -> None:
    starting = f"""
import sys; sys.path.insert(0, {str(STAND_IN.parents[1])!r})
import threading, time
from tests.unit.test_alibi_process import STAND_IN, AlibiDetect, SystemClock, ask, table
alibi = AlibiDetect(table(), SystemClock(), STAND_IN)
ask(alibi, "answer")
print(alibi.pid, flush=True)
ask(alibi, "hang")
"""
    with subprocess.Popen([sys.executable, "-c", starting], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()
        while not line.strip().isdigit():  # a line of the log comes before
            line = parent.stdout.readline()
        parent.kill()

    eventually(lambda: not Path(f"/proc/{int(line)}").exists(), "the worker ends")
