"""The metrics of the process itself, under the names that every Prometheus client gives them."""

from exporters.metric import Metric

PROCESS_METRICS: tuple[Metric, ...] = (
    Metric(
        "process_cpu_seconds_total",
        "counter",
        (),
        "Processor time that the process has used, its own and the kernel's for it.",
        "seconds",
        of_process=True,
    ),
    Metric("process_open_fds", "gauge", (), "File descriptors that are open: files, sockets, pipes."),
    Metric("process_max_fds", "gauge", (), "File descriptors that may be open at most."),
    Metric("process_start_time_seconds", "gauge", (), "When the process began, since 1970 UTC.", "seconds"),
    Metric("process_virtual_memory_bytes", "gauge", (), "Address space that the process has.", "bytes"),
    Metric("process_resident_memory_bytes", "gauge", (), "Memory that the process holds.", "bytes"),
)
