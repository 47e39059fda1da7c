"""Who is speaking: the resource and the scope of everything that is sent."""

from msgspec import Struct
from opentelemetry.sdk.resources import Resource

SCOPE = "driftd"


class Identity(Struct, frozen=True):
    """The program that speaks. instance: the same for a state folder's whole life."""

    service: str
    version: str
    instance: str

    @property
    def attributes(self) -> dict[str, str]:
        """The resource's attributes: these three, and nothing about the machine."""
        return {
            "service.name": self.service,
            "service.version": self.version,
            "service.instance.id": self.instance,
        }

    @property
    def resource(self) -> Resource:
        """The attributes as the SDK wants them; Resource.create would add the environment's."""
        return Resource(self.attributes)
