"""Which options a program reads, told from its syntax tree and the types of its names.

An expression is a group of options if it is ``<...>.<group>`` of a configuration, a name or an
attribute annotated with the group's class, or one that was assigned such an expression. Names
count within their function, attributes of ``self`` within their class.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator

from lerf_ros.config import LerfConfig

# Group -> name of its class, as in {'field': 'FieldOptions'}.
GROUPS = {group.name: type(group.default).__name__ for group in dataclasses.fields(LerfConfig)}
CLASSES = {name: group for group, name in GROUPS.items()}
# What holds all groups.
CONFIG = 'LerfConfig'

# The text of a name or an attribute of `self` -> what it is: a group, or `CONFIG`.
Known = dict[str, str]


def reads(source: str) -> set[str]:
    """Returns the options that a module reads, as 'group.option'."""
    found: set[str] = set()
    tree = ast.parse(source)
    _visit(tree, {}, found)
    return found


def _visit(scope: ast.AST, outer: Known, found: set[str]) -> None:
    """Follows one module, class or function, and those within it."""
    known = dict(outer)
    if isinstance(scope, ast.ClassDef):
        for inner in ast.walk(scope):  # what its methods give to `self`, in any order
            if isinstance(inner, ast.FunctionDef):
                local = dict(known)
                _learn(inner, local)
                known |= {key: kind for key, kind in local.items() if key.startswith('self.')}
                kind = _annotated(inner.returns)
                if kind and any(ast.unparse(one) == 'property' for one in inner.decorator_list):
                    known[f'self.{inner.name}'] = kind
        for line in scope.body:  # fields of a dataclass
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                kind = _annotated(line.annotation)
                if kind:
                    known[f'self.{line.target.id}'] = kind
    else:
        _learn(scope, known)
    for inner in _own(scope):
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Load):
            kind = _kind(inner.value, known)
            if kind in GROUPS:
                found.add(f'{kind}.{inner.attr}')
    for inner in _scopes(scope):
        _visit(inner, known, found)


def _learn(scope: ast.AST, known: Known) -> None:
    """Adds what a scope's parameters and assignments are."""
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        arguments = scope.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            kind = _annotated(argument.annotation)
            if kind:
                known[argument.arg] = kind
            else:
                known.pop(argument.arg, None)
    for _ in range(2):  # once more, for what is assigned from what stands below
        for inner in _own(scope):
            pairs: list[tuple[ast.expr, ast.expr | None, ast.expr | None]] = []
            if isinstance(inner, ast.Assign):
                for target in inner.targets:
                    if isinstance(target, ast.Tuple) and isinstance(inner.value, ast.Tuple):
                        zipped = zip(target.elts, inner.value.elts, strict=False)
                        pairs += [(one, value, None) for one, value in zipped]
                    else:
                        pairs.append((target, inner.value, None))
            elif isinstance(inner, ast.AnnAssign):
                pairs.append((inner.target, inner.value, inner.annotation))
            for target, value, annotation in pairs:
                kind = _annotated(annotation) or (value is not None and _kind(value, known))
                if kind and isinstance(target, ast.Name | ast.Attribute):
                    known[ast.unparse(target)] = kind


def _kind(expression: ast.expr, known: Known) -> str | None:
    """Returns what an expression is, as far as it has to do with options."""
    text = ast.unparse(expression)
    if text in known:
        return known[text]
    if isinstance(expression, ast.Call):
        name = ast.unparse(expression.func)
        if name in CLASSES:
            return CLASSES[name]
        return CONFIG if name == CONFIG or name.startswith(f'{CONFIG}.') else None
    if isinstance(expression, ast.Attribute):
        # These are all options, whatever they belong to: nothing else has such a name here.
        if expression.attr.lstrip('_') == 'config' or text.endswith('options.current'):
            return CONFIG
        if expression.attr in GROUPS and _kind(expression.value, known) == CONFIG:
            return expression.attr
    return CONFIG if isinstance(expression, ast.Name) and expression.id == 'config' else None


def _annotated(annotation: ast.expr | None) -> str | None:
    text = '' if annotation is None else ast.unparse(annotation).strip('\'"')
    text = text.removesuffix(' | None')
    return CONFIG if text == CONFIG else CLASSES.get(text)


def _scopes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yields the classes and functions right within a scope."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield child
        else:
            yield from _scopes(child)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Yields everything of a scope but what is in the scopes within it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        yield child
        yield from _own(child)
