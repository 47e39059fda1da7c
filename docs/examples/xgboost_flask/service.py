"""An XGBoost model behind Flask, which is told later what became of its predictions."""

import signal
import sys

import numpy as np
from flask import Flask, request
from flask.typing import ResponseReturnValue
from xgboost import XGBClassifier

from monitor.client import Log

COLUMNS = ("amount", "hour", "account_age")

model = XGBClassifier()
model.load_model("model.json")
log = Log("logs")
app = Flask(__name__)


@app.post("/score")
def score() -> ResponseReturnValue:
    """Answer with the probability of fraud."""
    row = {name: float(request.json[name]) for name in COLUMNS}
    fraud = model.predict_proba(np.array([list(row.values())]))[0, 1]
    name = log.prediction(features=row, prediction=int(fraud >= 0.5), score=fraud, version="1")
    return {"id": name, "score": float(fraud)}


@app.post("/outcome")
def outcome() -> ResponseReturnValue:
    """Hear what became of a payment."""
    log.outcome(id=request.json["id"], label=int(request.json["fraud"]))
    return {}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # an end in order, at which the log is closed
    app.run(port=int(sys.argv[1]), threaded=True)
