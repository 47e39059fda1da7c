"""A plugin of mypy's: what msgspec.structs.replace is given is checked, as it is for dataclasses.replace."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mypy.plugin import FunctionSigContext, Plugin
from mypy.plugins.dataclasses import replace_function_sig_callback
from mypy.types import FunctionLike, Instance, UnionType, get_proper_type


class Structs(Plugin):
    """Gives replace the signature that mypy keeps of every class that is made like a dataclass."""

    def get_function_signature_hook(
        self, fullname: str
    ) -> Callable[[FunctionSigContext], FunctionLike] | None:
        return SIGNATURES.get(fullname)


def _of_struct(call: FunctionSigContext) -> FunctionLike:
    # the default signature takes Structs alone
    return call.default_signature if False in _structs(call) else replace_function_sig_callback(call)


def _of_dataclass(call: FunctionSigContext) -> FunctionLike:
    if True in _structs(call):
        call.api.fail("a Struct is changed by msgspec.structs.replace", call.context)
    return replace_function_sig_callback(call)


def _structs(call: FunctionSigContext) -> set[bool]:
    """Tell of each type that what is changed may have whether it is a Struct, where that can be told."""
    if len(call.args[0]) != 1:  # a wrong call, which mypy will say
        return set()
    changed = get_proper_type(call.api.get_expression_type(call.args[0][0]))
    items = changed.items if isinstance(changed, UnionType) else [changed]
    found = [item for item in map(get_proper_type, items) if isinstance(item, Instance)]
    return {item.type.has_base("msgspec.Struct") for item in found}


SIGNATURES: Mapping[str, Callable[[FunctionSigContext], FunctionLike]] = MappingProxyType(
    {"msgspec.structs.replace": _of_struct, "dataclasses.replace": _of_dataclass}
)


def plugin(version: str) -> type[Plugin]:  # noqa: ARG001 - mypy's protocol
    """Return the plugin, as mypy asks for it."""
    return Structs
