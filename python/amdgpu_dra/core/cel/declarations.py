"""All functions, in the order in which Kubernetes adds its libraries: the order decides which overload is first."""

from functools import cache

from amdgpu_dra.core.cel import (
    address,
    clock,
    convert,
    lists,
    nameformats,
    operators,
    optionals,
    patterns,
    quantity,
    semver,
    strings,
    weblink,
)
from amdgpu_dra.core.cel.errors import no_such_overload
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import Value

__all__ = ["functions"]


def _unavailable(*_args: Value) -> Value:
    raise no_such_overload()


# Known to the type checker, without a value that they could be called on.
_AUTHORIZER: Functions = {
    name: tuple(overload(id_, signature, _unavailable) for id_, signature in rows)
    for name, rows in {
        "path": (("authorizer_path", "Authorizer.(string) PathCheck"),),
        "group": (("authorizer_group", "Authorizer.(string) GroupCheck"),),
        "serviceAccount": (("authorizer_serviceaccount", "Authorizer.(string, string) Authorizer"),),
        "resource": (("groupcheck_resource", "GroupCheck.(string) ResourceCheck"),),
        "subresource": (("resourcecheck_subresource", "ResourceCheck.(string) ResourceCheck"),),
        "namespace": (("resourcecheck_namespace", "ResourceCheck.(string) ResourceCheck"),),
        "name": (("resourcecheck_name", "ResourceCheck.(string) ResourceCheck"),),
        "check": (
            ("pathcheck_check", "PathCheck.(string) Decision"),
            ("resourcecheck_check", "ResourceCheck.(string) Decision"),
        ),
        "errored": (("decision_errored", "Decision.() bool"),),
        "error": (("decision_error", "Decision.() string"),),
        "allowed": (("decision_allowed", "Decision.() bool"),),
        "reason": (("decision_reason", "Decision.() string"),),
        "fieldSelector": (("authorizer_fieldselector", "ResourceCheck.(string) ResourceCheck"),),
        "labelSelector": (("authorizer_labelselector", "ResourceCheck.(string) ResourceCheck"),),
    }.items()
}


@cache
def functions(*, includes: bool) -> Functions:
    """The functions of an environment; `includes` says whether lists have the function of that name."""
    libraries = (
        operators.FUNCTIONS,
        optionals.FUNCTIONS,
        convert.FUNCTIONS,
        clock.FUNCTIONS,
        weblink.FUNCTIONS,
        patterns.FUNCTIONS,
        _kubernetes_lists(),
        _AUTHORIZER,
        quantity.FUNCTIONS,
        strings.FUNCTIONS,
        address.FUNCTIONS,
        nameformats.FUNCTIONS,
        semver.FUNCTIONS,
        {name: rows for name, rows in lists.FUNCTIONS.items() if name not in _KUBERNETES_LISTS},
        lists.INCLUDES if includes else {},
    )
    out: Functions = {}
    for library in libraries:
        for name, rows in library.items():
            out[name] = out.get(name, ()) + rows
    return out


_KUBERNETES_LISTS = frozenset({"isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"})


def _kubernetes_lists() -> Functions:
    return {name: rows for name, rows in lists.FUNCTIONS.items() if name in _KUBERNETES_LISTS}
