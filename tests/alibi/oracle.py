"""alibi-detect asked directly, as its own documentation does; run in its environment. Nothing of driftd.

Argument: an archive with `cases`, JSON: a list of [name, class, arguments, seed], and for each name the
matrices `name.reference` and `name.window`. Prints a JSON object: what each detector predicts, by name.
"""

import json
import random
import sys
from importlib import import_module
from typing import Any

import numpy as np

Predicted = dict[str, list[float]]


def predicted(title: str, arguments: dict[str, Any], reference: np.ndarray, window: np.ndarray) -> Predicted:
    made: Any = getattr(import_module("alibi_detect.cd"), title)
    if title == "ClassifierDrift":
        model = import_module("sklearn.linear_model").LogisticRegression(max_iter=1000)
        arguments = {**arguments, "model": model, "backend": "sklearn"}
    if title == "TabularDrift":
        names = arguments["categories_per_feature"]
        arguments = {**arguments, "categories_per_feature": {int(name): None for name in names}}
    found = made(reference, p_val=0.05, **arguments).predict(window)["data"]
    names = ("is_drift", "p_val", "distance", "diffs")
    return {name: np.asarray(found[name]).ravel().tolist() for name in names if name in found}


def main() -> None:
    results = {}
    with np.load(sys.argv[1], allow_pickle=False) as archive:
        for name, title, arguments, seed in json.loads(archive["cases"].tobytes()):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - alibi-detect draws from the global one
            if arguments.get("backend") == "pytorch":
                import_module("torch").manual_seed(seed)
            sides = archive[f"{name}.reference"], archive[f"{name}.window"]
            results[name] = predicted(title, arguments, *sides)
    sys.stderr.flush()
    sys.stdout.write("\n" + json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
