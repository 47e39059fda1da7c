"""A PyTorch model behind FastAPI that is asked about several rows at once."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import torch
import uvicorn
from fastapi import FastAPI
from model import COLUMNS, Minutes
from pydantic import BaseModel

from monitor.client import Log

model = Minutes()
model.load_state_dict(torch.load("model.pt", weights_only=True))
model.eval()
log = Log("logs")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Write what waits when the service ends."""
    yield
    log.close()


app = FastAPI(lifespan=lifespan)


class Delivery(BaseModel):
    """What the model is asked about."""

    distance: float
    parcels: int
    rain: float


@app.post("/minutes")
def minutes(deliveries: list[Delivery]) -> list[dict[str, object]]:
    """Answer with the minutes that each delivery will take."""
    rows = [delivery.model_dump() for delivery in deliveries]
    with torch.inference_mode():
        found = model(torch.tensor([[float(row[name]) for name in COLUMNS] for row in rows])).tolist()
    return [
        {"id": log.prediction(features=row, prediction=m, version="1"), "minutes": m}
        for row, m in zip(rows, found, strict=True)
    ]


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
