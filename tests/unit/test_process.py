"""What a process says of itself, under the names of every Prometheus client."""

import os
import re
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from exporters.process_metrics import PROCESS_METRICS
from monitor.process import Process


def said(process: Process) -> dict[str, float]:
    return {s.name: s.value for s in process.samples() if isinstance(s.value, float | int)}


def test_it_is_what_the_kernel_says_elsewhere_too() -> None:
    found, used = said(Process()), os.times()
    kilobytes = dict(re.findall(r"(Vm\w+):\s+(\d+) kB", Path("/proc/self/status").read_text("ascii")))

    assert set(found) == {m.name for m in PROCESS_METRICS} | {"driftd_resident_memory_bytes"}
    assert found["process_resident_memory_bytes"] == pytest.approx(int(kilobytes["VmRSS"]) * 1024, rel=0.2)
    assert found["driftd_resident_memory_bytes"] == found["process_resident_memory_bytes"]
    assert found["process_virtual_memory_bytes"] == pytest.approx(int(kilobytes["VmSize"]) * 1024, rel=0.2)
    assert found["process_cpu_seconds_total"] == pytest.approx(used.user + used.system, abs=2)
    assert found["process_max_fds"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 0 <= datetime.now(UTC).timestamp() - found["process_start_time_seconds"] < 86_400


def test_a_file_that_is_opened_is_counted() -> None:
    process = Process()
    before = said(process)["process_open_fds"]
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    after = said(process)["process_open_fds"]
    for fd in opened:
        os.close(fd)

    assert after - before == pytest.approx(50, abs=10)


def test_what_is_not_said_is_not_made_up(tmp_path: Path) -> None:
    assert Process(str(tmp_path)).samples() == []


def test_nothing_is_put_into_the_global_registry() -> None:
    before = list(REGISTRY.collect())
    Process()

    assert len(list(REGISTRY.collect())) == len(before)
