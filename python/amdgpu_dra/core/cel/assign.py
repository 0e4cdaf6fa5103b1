"""Which type fits where another is expected, and what a type parameter stands for."""

from amdgpu_dra.core.cel.kinds import DYN, CelType

__all__ = ["Bindings", "assignable", "assignable_list", "is_wide", "most_general", "substitute"]

type Bindings = dict[CelType, CelType]

_NESTED = frozenset({"opaque", "list", "map"})
_NULLABLE = frozenset({"opaque", "struct", "any", "duration", "timestamp", "null"})


def is_wide(kind: CelType) -> bool:
    """Whether anything fits: dyn, any and the type of an error."""
    return kind.kind in {"dyn", "any", "error"}


def assignable(bindings: Bindings, left: CelType, right: CelType) -> Bindings | None:
    """The bindings of parameters under which the two agree; None where they do not."""
    tried = dict(bindings)
    return tried if _agree(tried, left, right) else None


def assignable_list(bindings: Bindings, left: list[CelType], right: tuple[CelType, ...]) -> Bindings | None:
    """The same for argument lists."""
    tried = dict(bindings)
    if len(left) != len(right):
        return None
    return tried if all(_agree(tried, one, two) for one, two in zip(left, right, strict=True)) else None


def _agree(bindings: Bindings, left: CelType, right: CelType) -> bool:  # noqa: PLR0911 (one for each kind of type)
    if right.kind == "param":
        valid, known = _bind(bindings, left, right)
        if valid or known:
            return valid
    if left.kind == "param":
        return _bind(bindings, right, left)[0]
    if is_wide(left) or is_wide(right):
        return True
    if left.kind == "null":
        return right.kind in _NULLABLE
    if right.kind == "null":
        return left.kind in _NULLABLE
    if left.kind == "type":
        return right.kind == "type"
    if left.kind in _NESTED:
        return (
            left.kind == right.kind
            and left.name == right.name
            and len(left.params) == len(right.params)
            and all(_agree(bindings, one, two) for one, two in zip(left.params, right.params, strict=True))
        )
    return left == right


def _bind(bindings: Bindings, found: CelType, param: CelType) -> tuple[bool, bool]:
    """Whether a parameter can stand for a type, and whether it stood for one before."""
    if found == param:
        return True, True
    known = bindings.get(param)
    if known is not None:
        if found == known:
            return True, True
        if not _agree(bindings, found, known):
            return False, True
        wider = most_general(found, known)
        if _unmentioned(bindings, param, wider):
            bindings[param] = wider
        return True, True
    if _unmentioned(bindings, param, found):
        bindings[param] = found
        return True, False
    return False, False


def most_general(left: CelType, right: CelType) -> CelType:
    """Of two types that agree the one that says less."""
    return left if _less_specific(left, right) else right


def _less_specific(left: CelType, right: CelType) -> bool:
    if left.is_dyn or left.kind == "param":
        return True
    if right.is_dyn or right.kind == "param" or left.kind != right.kind:
        return False
    if left.kind in _NESTED:
        return (
            left.name == right.name
            and len(left.params) == len(right.params)
            and all(_less_specific(one, two) for one, two in zip(left.params, right.params, strict=True))
        )
    return left.kind == "type" or left == right


def _unmentioned(bindings: Bindings, param: CelType, within: CelType) -> bool:
    """Whether a type is free of a parameter, so that it may stand for it."""
    if param == within:
        return False
    if within.kind == "param":
        known = bindings.get(within)
        return known is None or _unmentioned(bindings, param, known)
    return all(_unmentioned(bindings, param, inner) for inner in within.params)


def substitute(bindings: Bindings, kind: CelType, *, to_dyn: bool = False) -> CelType:
    """The type with its parameters replaced by what they stand for; with `to_dyn` free ones by dyn."""
    known = bindings.get(kind)
    if known is not None:
        return substitute(bindings, known, to_dyn=to_dyn)
    if kind.kind == "param":
        return DYN if to_dyn else kind
    if not kind.params:
        return kind
    params = tuple(substitute(bindings, inner, to_dyn=to_dyn) for inner in kind.params)
    return kind if params == kind.params else CelType(kind.kind, kind.name, params)
