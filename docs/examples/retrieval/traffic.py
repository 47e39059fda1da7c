"""Questions to a bank's assistant: calm ones, and those of a day on which people ask about something else."""

import json
import sys
from http.client import HTTPConnection

import numpy as np

ROWS = 600
USUAL = {
    "opening": ("hello", "hi there", "good morning", "please help", "one question"),
    "who": ("my", "our", "my daughter's", "my new"),
    "what": ("card", "credit card", "account", "transfer", "pin", "loan", "statement"),
    "how": (
        "is lost",
        "is blocked",
        "was declined",
        "does not arrive",
        "is too expensive",
        "has to be changed",
    ),
}
OTHER = {
    "opening": ("goeiedag", "hallo", "dringend"),
    "who": ("mijn", "onze"),
    "what": ("cryptobeurs", "bitcoins", "wallet", "token"),
    "how": ("is gestolen", "zakt sterk", "werd gehackt"),
}


def questions(rows: int, seed: int, *, changed: bool = False) -> list[str]:
    """Make questions; changed: about another subject, in another language."""
    rng = np.random.default_rng(seed)
    parts = OTHER if changed else USUAL
    return [" ".join(str(rng.choice(words)) for words in parts.values()) + "?" for _ in range(rows)]


def main(address: str, kind: str) -> None:
    """Ask them one by one; prints how many were answered."""
    service = HTTPConnection(address, timeout=30)
    changed = kind == "changed"
    for question in questions(ROWS, seed=3 + changed, changed=changed):
        body = json.dumps({"question": question})
        service.request("POST", "/ask", body, {"content-type": "application/json"})
        answer = service.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {text.decode()}")
    print(ROWS)


if __name__ == "__main__":
    main(*sys.argv[1:])
