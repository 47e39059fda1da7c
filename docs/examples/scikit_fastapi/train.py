"""Trains the model, and logs its predictions on rows it has not seen: driftd's reference."""

import pickle
from pathlib import Path

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from traffic import applicants

from monitor.client import Log

COLUMNS = ["income", "debt", "city"]


def table(rows: list[dict[str, object]]) -> np.ndarray:
    """Return applicants as the model takes them."""
    return np.array([[row[name] for name in COLUMNS] for row in rows], dtype=object)


def main() -> None:
    """Write model.pkl and reference/."""
    rows = applicants(6000, seed=1)
    paid = np.array([row["income"] > 1.3 * row["debt"] for row in rows])
    model = make_pipeline(
        make_column_transformer((StandardScaler(), [0, 1]), (OneHotEncoder(), [2])), LogisticRegression()
    )
    model.fit(table(rows[:3000]), paid[:3000])
    Path("model.pkl").write_bytes(pickle.dumps(model))
    with Log("reference") as log:
        for row, score in zip(rows[3000:], model.predict_proba(table(rows[3000:]))[:, 1], strict=True):
            log.prediction(features=row, prediction=int(score >= 0.5), score=score, version="1")


if __name__ == "__main__":
    main()
