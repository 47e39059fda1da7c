"""Trains the model, and logs its predictions on rows it has not seen, with their outcomes: the reference."""

import numpy as np
from traffic import payments
from xgboost import XGBClassifier

from monitor.client import Log


def main() -> None:
    """Write model.json and reference/."""
    rows, fraud = payments(6000, seed=1)
    table = np.array([list(row.values()) for row in rows])
    model = XGBClassifier(n_estimators=40, max_depth=3)
    model.fit(table[:3000], fraud[:3000])
    model.save_model("model.json")
    scores = model.predict_proba(table[3000:])[:, 1]
    with Log("reference") as log:
        for row, score, label in zip(rows[3000:], scores, fraud[3000:], strict=True):
            columns = {**row, "label": int(label)}
            log.prediction(features=columns, prediction=int(score >= 0.5), score=score, version="1")


if __name__ == "__main__":
    main()
