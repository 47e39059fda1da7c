"""A picture of Prometheus' own graph of driftd_drift_quotient through the demo's incident.

`python -m benchmarks.screenshot [FILE]` runs `driftd demo`, a Prometheus that scrapes its daemon every two
seconds, and at the end a headless Chromium that looks at the graph: about two minutes. Both programs must be
installed. Without FILE the picture in docs/images is renewed.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from urllib.parse import urlencode

from tests.programs import DRIFTD, Program
from tests.prometheus import Prometheus, scraping

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "drift-quotient.png"
MOST_BYTES = 200_000
CALM = 45
AFTER = 60
"""Seconds before the incident, and from its begin to the picture: it lasts 30."""
QUESTION = 'max by (feature, detector) (driftd_drift_quotient{segment="all", feature!="_all"})'
QUIET = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-extensions"
SIZE = (1280, 970)


def main() -> None:
    """Take the picture."""
    picture = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else PICTURE
    prometheus, chromium = (found(name) for name in ("prometheus", "chromium"))
    with TemporaryDirectory(prefix="driftd-screenshot-") as name:
        folder = Path(name)
        command: list[str | Path] = [DRIFTD, "demo", "--calm", str(CALM), "--seconds", str(CALM + AFTER + 60)]
        with Program(command, folder / "demo.log") as demo:
            address = demo.wait_for(r"http://(\S+)/metrics")[1]
            with scraping(prometheus, address, folder, "2s") as server:
                wait(CALM + AFTER)
                print(told(server))
                look(chromium, server.address, picture, folder)
            demo.stop()
    size = picture.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{picture} has {size:,} bytes, more than {MOST_BYTES:,}")
    print(f"{picture}: {size:,} bytes")


def found(program: str) -> str:
    """Return where a program is; end with a line when it is not installed."""
    path = shutil.which(program)
    if path is None:
        sys.exit(f"{program} is not installed; install it and try again")
    return path


def wait(seconds: float) -> None:
    """Let the demo go on, and say so now and then."""
    end = monotonic() + seconds
    while (left := end - monotonic()) > 0:
        print(f"the picture is taken in {left:.0f} s", flush=True)
        sleep(min(15, left))


def told(server: Prometheus) -> str:
    """Return the largest quotients of the last two minutes, so that the picture can be compared."""
    largest = server.query(f"sort_desc(max_over_time({QUESTION}[2m:1s]))")
    return "\n".join(f"{one['metric']}: at most {float(one['value'][1]):.2f}" for one in largest[:5])


def look(chromium: str, address: str, picture: Path, folder: Path) -> None:
    """Let Chromium draw Prometheus' graph into the file."""
    asked = {
        "g0.expr": QUESTION,
        "g0.tab": "0",
        "g0.stacked": "0",
        "g0.range_input": f"{CALM + AFTER - 5}s",
        "g0.step_input": "1",
    }
    picture.parent.mkdir(parents=True, exist_ok=True)
    command = [
        chromium,
        *QUIET.split(),
        f"--user-data-dir={folder / 'chromium'}",
        f"--window-size={SIZE[0]},{SIZE[1]}",
        "--virtual-time-budget=20000",
        f"--screenshot={picture}",
        f"http://{address}/graph?{urlencode(asked)}",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if ended.returncode or not re.search(r"bytes written", ended.stderr + ended.stdout):
        sys.exit(f"chromium took no picture: {ended.stderr[-500:]}")


if __name__ == "__main__":
    main()
