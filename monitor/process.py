"""What the operating system says of this process."""

from functools import cached_property
from typing import TYPE_CHECKING

from exporters.catalog import Sample
from exporters.process_metrics import PROCESS_METRICS

if TYPE_CHECKING:
    from prometheus_client.process_collector import ProcessCollector


class Process:
    """Reads /proc whenever it is asked; without one, as on other systems than Linux, there are no samples.

    proc: where that is.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc

    @cached_property
    def _collector(self) -> "ProcessCollector":
        from prometheus_client.process_collector import ProcessCollector  # noqa: PLC0415 - slow, not at once

        return ProcessCollector(proc=self._proc, registry=None)  # none: not the library's global one

    def samples(self) -> list[Sample]:
        """Return what is said now."""
        said = {each.name: each.value for family in self._collector.collect() for each in family.samples}
        found = [Sample(m.name, (), said[m.name]) for m in PROCESS_METRICS if m.name in said]
        held = said.get("process_resident_memory_bytes")
        return found if held is None else [*found, Sample("driftd_resident_memory_bytes", (), held)]
