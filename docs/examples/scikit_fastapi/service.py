"""A scikit-learn model behind FastAPI."""

import pickle
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from monitor.client import Log

model = pickle.loads(Path("model.pkl").read_bytes())  # noqa: S301 - written by our own train.py
log = Log("logs")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Write what waits when the service ends."""
    yield
    log.close()


app = FastAPI(lifespan=lifespan)


class Applicant(BaseModel):
    """What the model is asked about."""

    income: float
    debt: float
    city: str


@app.post("/score")
def score(applicant: Applicant) -> dict[str, object]:
    """Answer with the probability that the loan is paid back."""
    row = applicant.model_dump()
    paid = float(model.predict_proba(np.array([list(row.values())], dtype=object))[0, 1])
    name = log.prediction(features=row, prediction=int(paid >= 0.5), score=paid, version="1")
    return {"id": name, "score": paid}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
