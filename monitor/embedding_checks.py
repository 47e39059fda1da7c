"""What is wrong with the embeddings of a configuration."""

from collections.abc import Iterator

from monitor.complaints import Complaint, Place, quoted
from monitor.config import Features
from monitor.core.vectors import MANY, embeddings_of


def embeddings(features: Features, roles: dict[str, str], at: Place) -> Iterator[Complaint]:
    """Yield what is wrong with `[models.features.embeddings]`. roles: column -> what else it is."""
    taken = dict.fromkeys((*features.numeric, *features.categorical), "a feature")
    taken |= {column: f"columns.{role}" for column, role in roles.items()}
    for embedding, wish in zip(embeddings_of(features.embeddings), features.embeddings, strict=True):
        place: Place = (*at, "embeddings", wish)
        if MANY in wish[:-1] or not embedding.name:
            does = 'write one column, or as "emb_*" for emb_0, emb_1, ...'
            yield Complaint(place, f"{quoted(wish)} is no name of columns; {does}")
        clash = next((n for n in (*embedding.columns, *embedding.features) if n in taken), None)
        if clash is not None:
            says = f"{quoted(clash)} is {taken[clash]} already; remove it there, or rename it"
            yield Complaint(place, says)
        taken |= dict.fromkeys((*embedding.columns, *embedding.features), f"of the embedding {quoted(wish)}")


def feature_names(features: Features) -> set[str]:
    """Return every feature that a monitor can name, those that embeddings have too."""
    made = {name for embedding in embeddings_of(features.embeddings) for name in embedding.features}
    return {*features.numeric, *features.categorical, *made}
