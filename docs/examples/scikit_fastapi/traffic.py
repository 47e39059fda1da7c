"""Applicants for a loan: those of the training set, of calm days, and of a day when incomes have changed."""

import json
import sys
from http.client import HTTPConnection
from typing import Any

import numpy as np

ROWS = 600


def applicants(rows: int, seed: int, *, changed: bool = False) -> list[dict[str, Any]]:
    """Make applicants; changed: incomes come in another currency."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(8, 0.4, rows) * (1.8 if changed else 1.0)
    debt = rng.gamma(2.0, 900.0, rows)
    city = rng.choice(["Ghent", "Bruges", "Leuven"], rows, p=[0.5, 0.3, 0.2])
    return [
        {"income": round(float(i), 2), "debt": round(float(d), 2), "city": str(c)}
        for i, d, c in zip(income, debt, city, strict=True)
    ]


def main(address: str, kind: str) -> None:
    """Send them one by one; prints how many were answered."""
    service = HTTPConnection(address, timeout=30)
    changed = kind == "changed"
    for applicant in applicants(ROWS, seed=2 + changed, changed=changed):
        service.request("POST", "/score", json.dumps(applicant), {"content-type": "application/json"})
        answer = service.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {body.decode()}")
    print(ROWS)


if __name__ == "__main__":
    main(*sys.argv[1:])
