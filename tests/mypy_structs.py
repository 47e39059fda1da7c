"""A plugin of mypy's: what msgspec.structs.replace is given is checked, as it is for dataclasses.replace."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mypy.plugin import FunctionSigContext, Plugin
from mypy.plugins.dataclasses import replace_function_sig_callback
from mypy.types import FunctionLike, Instance, get_proper_type


class Structs(Plugin):
    """Gives replace the signature that mypy keeps of every class that is made like a dataclass."""

    def get_function_signature_hook(
        self, fullname: str
    ) -> Callable[[FunctionSigContext], FunctionLike] | None:
        return SIGNATURES.get(fullname)


def _of_struct(call: FunctionSigContext) -> FunctionLike:
    # the default signature takes Structs alone
    return call.default_signature if _is_struct(call) is False else replace_function_sig_callback(call)


def _of_dataclass(call: FunctionSigContext) -> FunctionLike:
    if _is_struct(call):
        call.api.fail("a Struct is changed by msgspec.structs.replace", call.context)
    return replace_function_sig_callback(call)


def _is_struct(call: FunctionSigContext) -> bool | None:
    """Tell whether a Struct is changed; None where that cannot be told."""
    changed = get_proper_type(call.api.get_expression_type(call.args[0][0]))
    return changed.type.has_base("msgspec.Struct") if isinstance(changed, Instance) else None


SIGNATURES: Mapping[str, Callable[[FunctionSigContext], FunctionLike]] = MappingProxyType(
    {"msgspec.structs.replace": _of_struct, "dataclasses.replace": _of_dataclass}
)


def plugin(version: str) -> type[Plugin]:  # noqa: ARG001 - mypy's protocol
    """Return the plugin, as mypy asks for it."""
    return Structs
