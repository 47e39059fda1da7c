"""Texts as numbers, made where the text is: what is logged of a text is never the text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

WORD = re.compile(r"\w+")
BYTES = 8
MAGIC = b"driftd vocabulary 1\n"
ASCII = 128
REFUSALS = (
    r"\bI(?:'m| am) (?:sorry|unable|not able)\b",
    r"\bI (?:can(?:no|')t|won't|will not|must decline)\b",
    r"\bas an AI\b",
    r"\bnot able to (?:help|assist|answer|provide)\b",
)
"""How English answers begin that give none. Other languages, and other models, have patterns of their own."""
LOOKED_AT = 200
"""Characters at an answer's start in which a refusal stands."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that texts usually have, as hashes: the file says of no word what it was.

    >>> known = Vocabulary.learn(["The card was lost", "the card was found"])
    >>> known.unknown(["the", "card", "expired"])
    1
    """

    hashes: frozenset[bytes]

    @classmethod
    def learn(cls, texts: Iterable[str], size: int = 50_000, least: int = 2) -> "Vocabulary":
        """Learn the `size` most common words, of those that occur `least` times or more.

        Learn from other texts than the reference is made of: those that were learnt from have fewer unknown
        words than any text to come.
        """
        counts = Counter(word for text in texts for word in words(text))
        common = sorted((-n, word) for word, n in counts.items() if n >= least)[:size]
        return cls(frozenset(_hash(word) for _, word in common))

    def unknown(self, found: Iterable[str]) -> int:
        """Return how many of the words are none of these."""
        return sum(_hash(word) not in self.hashes for word in found)

    def save(self, path: str | Path) -> None:
        """Write the hashes, in order, so that the same words give the same file."""
        Path(path).write_bytes(MAGIC + b"".join(sorted(self.hashes)))

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read what `save` wrote; raises ValueError for another file."""
        data = Path(path).read_bytes()
        body = data.removeprefix(MAGIC)
        if len(body) == len(data) or len(body) % BYTES:
            raise ValueError(f"{path} is no vocabulary of driftd; write one with Vocabulary.save")
        return cls(frozenset(body[at : at + BYTES] for at in range(0, len(body), BYTES)))


def words(text: str) -> list[str]:
    """Return the words in lower case: runs of letters, digits and underscores."""
    return WORD.findall(text.lower())


def text_numbers(text: str, vocabulary: Vocabulary | None = None, prefix: str = "") -> dict[str, float]:
    """Return what is watched of a text, under names that begin with `prefix`.

    characters and words: how many. non_ascii: their share among the characters. out_of_vocabulary: the share
    of unknown words, where there is a vocabulary and a word.

    >>> known = Vocabulary.learn(["hello world"], least=1)
    >>> text_numbers("Hello Wörld", known, "asked_")
    {'asked_characters': 11, 'asked_words': 2, 'asked_non_ascii': 0.0909, 'asked_out_of_vocabulary': 0.5}
    """
    found = words(text)
    numbers: dict[str, float] = {
        "characters": len(text),
        "words": len(found),
        "non_ascii": (0 if text.isascii() else sum(ord(c) >= ASCII for c in text)) / max(len(text), 1),
    }
    if vocabulary is not None and found:
        numbers["out_of_vocabulary"] = vocabulary.unknown(found) / len(found)
    return {f"{prefix}{name}": value for name, value in numbers.items()}


def refusal(answer: str, patterns: Sequence[str] = REFUSALS) -> bool:
    """Tell whether an answer begins as refusals do; by rule of thumb, and in English unless told otherwise.

    >>> refusal("I'm sorry, but I can't help with that."), refusal("Your card is on its way.")
    (True, False)
    """
    start = answer[:LOOKED_AT].replace("\u2019", "'")
    return any(re.search(pattern, start, re.IGNORECASE) for pattern in patterns)


def _hash(word: str) -> bytes:
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest()
