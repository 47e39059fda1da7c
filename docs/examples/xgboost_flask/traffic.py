"""Card payments: calm ones, and those of a day with larger amounts; and what became of each of them."""

import json
import sys
from http.client import HTTPConnection

import numpy as np

ROWS = 600


def payments(rows: int, seed: int, *, changed: bool = False) -> tuple[list[dict[str, float]], list[bool]]:
    """Make payments, and which of them are fraud; changed: all amounts are larger."""
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(3.5 + 0.7 * changed, 0.8, rows)
    hour = rng.integers(0, 24, rows)
    age = rng.exponential(400, rows)
    danger = 0.02 * amount + 2.0 * (hour < 5) - 0.004 * age - 1.0
    fraud = rng.random(rows) < 1 / (1 + np.exp(-danger))
    found = [
        {"amount": round(float(a), 2), "hour": int(h), "account_age": round(float(d), 1)}
        for a, h, d in zip(amount, hour, age, strict=True)
    ]
    return found, fraud.tolist()


def ask(service: HTTPConnection, path: str, body: object) -> dict[str, object]:
    """Send one request; returns the answer."""
    service.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = service.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"{answer.status}: {text.decode()}")
    found: dict[str, object] = json.loads(text)
    return found


def main(address: str, kind: str) -> None:
    """Send them one by one; prints how many were answered."""
    service = HTTPConnection(address, timeout=30)
    changed = kind == "changed"
    for payment, fraud in zip(*payments(ROWS, seed=2 + changed, changed=changed), strict=True):
        answer = ask(service, "/score", payment)
        ask(service, "/outcome", {"id": answer["id"], "fraud": fraud})  # weeks later, in earnest
    print(ROWS)


if __name__ == "__main__":
    main(*sys.argv[1:])
