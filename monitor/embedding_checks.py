"""What is wrong with the embeddings of a configuration."""

from collections.abc import Iterator

from monitor.complaints import Complaint, Place, quoted
from monitor.config import Features
from monitor.core.vectors import MANY, embeddings_of

OTHERS = ("features", "numeric", "categorical", "prediction", "score", "error", "loss")
"""What a monitor can be `on` beside columns."""


def embeddings(features: Features, roles: dict[str, str], at: Place) -> Iterator[Complaint]:
    """Yield what is wrong with `[models.features.embeddings]`. roles: column -> what else it is."""
    taken = dict.fromkeys((*features.numeric, *features.categorical), "a feature")
    taken |= {column: f"columns.{role}" for column, role in roles.items()}
    for embedding, wish in zip(embeddings_of(features.embeddings), features.embeddings, strict=True):
        place: Place = (*at, "embeddings", wish)
        if MANY in wish[:-1] or not embedding.name:
            does = 'write one column, or as "emb_*" for emb_0, emb_1, ...'
            yield Complaint(place, f"{quoted(wish)} is no name of columns; {does}")
        if embedding.name in OTHERS:
            yield Complaint(
                place, f"{quoted(embedding.name)} means something else in `on`; rename the column"
            )
        clash = next((n for n in (*embedding.columns, *embedding.features) if n in taken), None)
        if clash is not None:
            says = f"{quoted(clash)} is {taken[clash]} already; remove it there, or rename it"
            yield Complaint(place, says)
        taken |= dict.fromkeys((*embedding.columns, *embedding.features), f"of the embedding {quoted(wish)}")


def is_embedding(features: Features | None, name: str) -> bool:
    """Tell whether an embedding is called that; where the reference says which there are, it may be."""
    return features is None or name in {e.name for e in embeddings_of(features.embeddings)}


def feature_names(features: Features) -> set[str]:
    """Return every feature that a monitor can name, those that embeddings have too."""
    made = {name for embedding in embeddings_of(features.embeddings) for name in embedding.features}
    return {*features.numeric, *features.categorical, *made}
