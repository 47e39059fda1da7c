"""A retrieval-augmented assistant behind FastAPI."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from assistant import Assistant
from fastapi import FastAPI
from pydantic import BaseModel

from monitor.client import Log, Vocabulary

assistant = Assistant(Vocabulary.load("vocabulary.bin"))
log = Log("logs")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Write what waits when the service ends."""
    yield
    log.close()


app = FastAPI(lifespan=lifespan)


class Question(BaseModel):
    """What is asked."""

    question: str


@app.post("/ask")
def ask(asked: Question) -> dict[str, str]:
    """Answer a question."""
    found = assistant.answer(asked.question)
    name = log.prediction(features=found.features, prediction=found.outcome, version="1")
    return {"id": name, "answer": found.text}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
