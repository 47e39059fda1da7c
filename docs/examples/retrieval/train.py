"""Learns the vocabulary, and logs answers to other usual questions: driftd's reference."""

from assistant import Assistant
from traffic import questions

from monitor.client import Log, Vocabulary


def main() -> None:
    """Write vocabulary.bin and reference/."""
    vocabulary = Vocabulary.learn(questions(2000, seed=1))
    vocabulary.save("vocabulary.bin")
    assistant = Assistant(vocabulary)
    with Log("reference") as log:
        for question in questions(3000, seed=2):
            found = assistant.answer(question)
            log.prediction(features=found.features, prediction=found.outcome, version="1")


if __name__ == "__main__":
    main()
