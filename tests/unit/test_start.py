"""What a start leaves out: libraries that take long to import and that it does not need to be ready."""

import subprocess
import sys

LATER = (
    "scipy",
    "sklearn",
    "river",
    "httpx2",
    "httpcore2",
    "jinja2",
    "opentelemetry.sdk",
    "apscheduler.triggers.cron",
)


def test_a_start_goes_without_what_is_needed_later_or_not_at_all() -> None:
    asked = f"import monitor.daemon, sys; print(*(name for name in {LATER} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_what_lasts_is_left_alone_by_the_collector() -> None:
    asked = """
import gc
from monitor.memory import lasting
before = gc.get_freeze_count()
with lasting():
    print(gc.isenabled())
    made = [[] for _ in range(1000)]
print(gc.isenabled(), gc.get_freeze_count() > before + 1000)
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True", "True"]
