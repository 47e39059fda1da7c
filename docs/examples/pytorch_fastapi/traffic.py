"""Deliveries to estimate: calm ones, and those of a day on which a new district is served."""

import json
import sys
from http.client import HTTPConnection

import numpy as np

ROWS, BATCH = 600, 5


def deliveries(rows: int, seed: int, *, changed: bool = False) -> tuple[list[dict[str, float]], list[float]]:
    """Make deliveries and the minutes they take; changed: they go further."""
    rng = np.random.default_rng(seed)
    distance = rng.gamma(3.0, 1.0, rows) + 4.0 * changed
    parcels = rng.poisson(2.0, rows) + 1
    rain = rng.beta(0.5, 2.0, rows)
    minutes = 5 + 4 * distance + 2 * parcels + 6 * rain * distance + rng.normal(0, 3, rows)
    found = [
        {"distance": round(float(d), 2), "parcels": int(p), "rain": round(float(r), 2)}
        for d, p, r in zip(distance, parcels, rain, strict=True)
    ]
    return found, minutes.tolist()


def main(address: str, kind: str) -> None:
    """Send them, some at a time; prints how many were answered."""
    service = HTTPConnection(address, timeout=30)
    changed = kind == "changed"
    rows, _ = deliveries(ROWS, seed=2 + changed, changed=changed)
    for at in range(0, ROWS, BATCH):
        body = json.dumps(rows[at : at + BATCH])
        service.request("POST", "/minutes", body, {"content-type": "application/json"})
        answer = service.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {text.decode()}")
    print(ROWS)


if __name__ == "__main__":
    main(*sys.argv[1:])
