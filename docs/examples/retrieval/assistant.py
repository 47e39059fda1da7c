"""Finds the passage that fits a question, answers with it, and says what driftd is to know of both texts."""

import re
import time
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from monitor.client import Vocabulary, refusal, text_numbers

SIZE = 64
PASSAGES = (
    "A lost or stolen card is blocked at once under card stop. A new card takes five days.",
    "A transfer that does not arrive is traced after two days. Ask for its reference.",
    "A pin is changed at any cash machine. A pin that was blocked is sent anew.",
    "A loan can be paid back early. What that costs is in its statement.",
    "A statement of the account is made each month. Older ones are in the archive.",
)


def embed(text: str) -> NDArray[np.float32]:
    """Return a unit vector. A stand-in for your encoder: random directions of the words, added up."""
    found = np.zeros(SIZE)
    for word in re.findall(r"\w+", text.lower()):
        seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
        found += np.random.default_rng(seed).normal(size=SIZE)
    return (found / max(float(np.linalg.norm(found)), 1e-9)).astype(np.float32)


@dataclass(frozen=True)
class Answer:
    """An answer, and the columns of its log: numbers and vectors, never a text."""

    text: str
    features: dict[str, object]
    outcome: str
    score: float


class Assistant:
    """Retrieval, and in the place of a language model a template."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._index = np.array([embed(passage) for passage in PASSAGES])

    def answer(self, question: str) -> Answer:
        """Answer a question."""
        began = time.perf_counter()
        vector = embed(question)
        fits = self._index @ vector
        best = int(fits.argmax())
        text = PASSAGES[best] if fits[best] > 0.1 else "I'm sorry, I cannot help with that."
        features = {
            **text_numbers(question, self._vocabulary, "question_"),
            **text_numbers(text, prefix="answer_"),
            "gen_ai.usage.input_tokens": len((question + PASSAGES[best]).split()),
            "gen_ai.usage.output_tokens": len(text.split()),
            "gen_ai.client.operation.duration": time.perf_counter() - began,
            "question": vector,
        }
        return Answer(text, features, "refused" if refusal(text) else "answered", float(fits[best]))
