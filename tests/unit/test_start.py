"""What a start leaves out: libraries that take long to import and that it does not need to be ready."""

import os
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
    "apscheduler",
    "prometheus_client",
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


def test_the_allocator_is_told_before_polars_is_there_unless_the_user_has_told_it() -> None:
    asked = """
import os, sys
import monitor.cli
from monitor.memory import share_freed
print("polars" in sys.modules)
share_freed()
import polars
print(os.environ["_RJEM_MALLOC_CONF"].split(",")[-1].split(":")[0])
"""
    plain = {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}
    for own, option in (({}, "narenas"), ({"_RJEM_MALLOC_CONF": "tcache:true"}, "tcache")):
        done = subprocess.run(
            [sys.executable, "-c", asked], capture_output=True, text=True, check=True, env={**plain, **own}
        )

        assert done.stdout.split() == ["False", option]
