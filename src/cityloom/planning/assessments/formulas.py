"""Formulas of questionnaires: arithmetic and comparisons over named numbers, and nothing else. Pure.

`0.7 * economic + 0.3 * social`, `platform >= 60 and joined < 40`, `min(a, b)`. A name without a value makes
the whole formula unknown: None.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

_Number = float | bool
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_CALLS: Mapping[str, Callable[..., float]] = {"min": min, "max": max, "abs": abs}
LONGEST = 500


def names_in(text: str) -> set[str]:
    """The names that a formula needs. Raises BadInput for what is no formula."""
    return {
        node.id for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name) and node.id not in _CALLS
    }


def evaluate(text: str, values: Mapping[str, float | None]) -> float | bool | None:
    """What a formula comes to; None where something it needs is not known, or by a division by zero."""
    tree = _parsed(text)
    if any(values.get(name) is None for name in names_in(text)):
        return None
    known = {name: value for name, value in values.items() if value is not None}
    try:
        return _of(tree.body, known)
    except ZeroDivisionError:
        return None


def _parsed(text: str) -> ast.Expression:
    if len(text) > LONGEST:
        raise _fault(text)
    try:
        tree = ast.parse(text.strip(), mode="eval")
        _check(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _fault(text) from None
    return tree


def _check(node: ast.expr) -> None:
    """Refuse whatever is not among the few things that formulas may hold."""
    allowed = (
        ast.BinOp,
        ast.UnaryOp,
        ast.Compare,
        ast.BoolOp,
        ast.Name,
        ast.Constant,
        ast.Call,
        ast.operator,
        ast.unaryop,
        ast.cmpop,
        ast.boolop,
        ast.expr_context,
    )
    for part in ast.walk(node):
        if not isinstance(part, allowed):
            raise ValueError
        if isinstance(part, ast.Constant) and type(part.value) not in (int, float, bool):
            raise ValueError
        if isinstance(part, ast.Call) and (part.keywords or _called(part) not in _CALLS):
            raise ValueError
        if isinstance(part, ast.BinOp) and type(part.op) not in _BINARY:
            raise ValueError
        if isinstance(part, ast.Compare) and any(type(one) not in _COMPARE for one in part.ops):
            raise ValueError


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _of(node: ast.expr, values: Mapping[str, float]) -> _Number:
    if isinstance(node, ast.Constant):
        return float(node.value) if not isinstance(node.value, bool) else node.value  # type: ignore[arg-type]  # checked above
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.Call):
        return float(_CALLS[_called(node)](*(_of(one, values) for one in node.args)))
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_of(node.left, values), _of(node.right, values))
    if isinstance(node, ast.UnaryOp):
        value = _of(node.operand, values)
        return not value if isinstance(node.op, ast.Not) else -value
    return _logic(node, values)


def _logic(node: ast.expr, values: Mapping[str, float]) -> bool:
    if isinstance(node, ast.BoolOp):
        several = [bool(_of(one, values)) for one in node.values]
        return all(several) if isinstance(node.op, ast.And) else any(several)
    if isinstance(node, ast.Compare):
        sides = [_of(one, values) for one in (node.left, *node.comparators)]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        return all(_COMPARE[type(op)](left, right) for op, left, right in pairs)
    raise AssertionError(ast.dump(node))


def _fault(text: str) -> BadInput:
    return BadInput(
        Worded("%(text)s is no formula", text=repr(text[:80])),
        hint=Worded("Use numbers, names, + - * /, comparisons, and, or, not, min, max, abs."),
        where="formula",
    )
