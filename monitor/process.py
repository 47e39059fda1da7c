"""What the operating system says of this process."""

from prometheus_client.process_collector import ProcessCollector

from exporters.catalog import Sample
from exporters.process_metrics import PROCESS_METRICS


class Process:
    """Reads /proc whenever it is asked; without one, as on other systems than Linux, there are no samples.

    proc: where that is.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._collector = ProcessCollector(proc=proc, registry=None)  # none: not the library's global one

    def samples(self) -> list[Sample]:
        """Return what is said now."""
        said = {each.name: each.value for family in self._collector.collect() for each in family.samples}
        found = [Sample(m.name, (), said[m.name]) for m in PROCESS_METRICS if m.name in said]
        held = said.get("process_resident_memory_bytes")
        return found if held is None else [*found, Sample("driftd_resident_memory_bytes", (), held)]
