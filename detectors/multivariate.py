"""The multivariate detectors by name, and what each takes."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import asdict

from detectors.choices import wrong_options
from detectors.domain_classifier import DomainOptions, domain_classifier
from detectors.joint import Compare, Option
from detectors.kernel_mean import MmdOptions, mmd
from detectors.mean_angle import CosineOptions, cosine
from detectors.reconstruction import PcaOptions, pca_reconstruction

MULTIVARIATE: Mapping[str, Compare] = MappingProxyType(
    {
        "mmd": mmd,
        "domain_classifier": domain_classifier,
        "pca_reconstruction": pca_reconstruction,
        "cosine": cosine,
    }
)

OPTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "mmd": MmdOptions,
        "domain_classifier": DomainOptions,
        "pca_reconstruction": PcaOptions,
        "cosine": CosineOptions,
    }
)
"""By name, the class of its options."""


def defaults(name: str) -> dict[str, Option]:
    """Return the options of a multivariate detector with their defaults.

    Examples
    --------
    >>> defaults("mmd")
    {'bandwidth': 0.0, 'features': 500, 'products': True, 'scale': 'ranks'}

    """
    return asdict(OPTIONS[name]())


def mistakes(name: str, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with options: the name of one, or "" for all together, and what to do.

    Examples
    --------
    >>> list(mistakes("mmd", {"features": 0.5, "scales": "sd"}))
    [('features', 'must be a whole number'), ('scales', 'is not an option of mmd; did you mean "scale"?')]
    >>> list(mistakes("mmd", {"scale": "robust"}))
    [('', 'scale is "robust": write one of ranks, sd, none')]

    """
    return wrong_options(OPTIONS[name], name, given)
