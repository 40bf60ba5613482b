"""Which names a cell binds, and which it needs from other cells: read off its text, nothing is run."""

import ast
import re
import symtable
import warnings
from dataclasses import dataclass
from functools import lru_cache

_EVALUATED = {  # the fields of a node as they are evaluated, where that is not how they stand, or not all
    ast.Assign: ("value", "targets"),
    ast.AnnAssign: ("value", "target"),
    ast.AugAssign: ("value", "target"),
    ast.NamedExpr: ("value", "target"),
    ast.For: ("iter", "target", "body", "orelse"),
    ast.AsyncFor: ("iter", "target", "body", "orelse"),
    ast.FunctionDef: ("decorator_list", "args"),
    ast.AsyncFunctionDef: ("decorator_list", "args"),
    ast.arguments: ("defaults", "kw_defaults"),
    ast.Lambda: ("args",),
    ast.ClassDef: ("decorator_list", "bases", "keywords"),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), ()),
}
_IPYTHONS = (  # a line of IPython's, and what stands for it
    (re.compile(r"^([ \t]*)%(?:time|timeit)[ \t]+(?!-)(.+)$", re.MULTILINE), r"\1\2"),
    (re.compile(r"^([ \t]*)[%!?].*$", re.MULTILINE), r"\1pass"),
    (re.compile(r"^([ \t]*\w[\w, \t]*=[ \t]*)[%!].*$", re.MULTILINE), r"\1None"),
    (re.compile(r"^([ \t]*)[\w.]+\?{1,2}[ \t]*$", re.MULTILINE), r"\1pass"),
)
_BINDS = {
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler), "name"),
    **dict.fromkeys((ast.MatchAs, ast.MatchStar), "name"),
    ast.MatchMapping: "rest",
}


@dataclass(frozen=True)
class Names:
    """Of a cell: what it `needs` from elsewhere and `binds` for the cells after it; the exercises it has `checked`.

    Empty for what is no Python.
    """

    needs: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()


@lru_cache(maxsize=1024)  # a lesson's cells are in each submission of it
def names(source):
    """The Names of a code cell as Jupyter reads it; never raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = _as_python(source)
            tree, table = ast.parse(text), symtable.symtable(text, "cell", "exec")
            needs, bound, checked = set(), set(), set()
            for node in _in_order(tree):
                if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                    needs |= {node.id} - bound
                elif isinstance(node, ast.Call):
                    checked |= _checked(node)
                bound |= _bound(node)
            later, also_bound = _of_functions(table)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return Names()
    bound |= also_bound
    return Names(frozenset(needs | (later - bound)), frozenset(bound), frozenset(checked))


def _as_python(source):
    """The text without IPython's own syntax, which costs IPython itself a long time where there is much of it; of a
    cell magic, what it runs."""
    lines = source.lstrip().splitlines(keepends=True)
    while lines and lines[0].lstrip().startswith("%%"):
        lines = lines[1:]
    text = "".join(lines)
    try:
        ast.parse(text)
    except SyntaxError:
        for pattern, instead in _IPYTHONS:
            text = pattern.sub(instead, text)
    return text


def is_prose(source):
    """Whether a code cell says something and does nothing: comments, texts, or no Python at all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(_as_python(source)).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return True
    return all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in body)


def texts(source):
    """What a code cell says: its comments, those of neighbouring lines together, and its strings."""
    found = re.findall(r"(?:^[ \t]*#.*\n?)+", source, re.MULTILINE)
    found = [re.sub(r"^[ \t]*#+ ?", "", comment, flags=re.MULTILINE) for comment in found]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = ast.walk(ast.parse(_as_python(source)))
            found += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    return [text.strip() for text in found if text.strip()]


def needed(cells, theirs):
    """Which cells those of the numbers `theirs` lean on, directly or not, themselves left out.

    cells: the Names of all, in order. A name is looked up in the nearest cell before, else in the first one after.
    """
    found, left = set(theirs), list(theirs)
    while left:
        number = left.pop()
        for name in cells[number].needs:
            for other in (*reversed(range(number)), *range(number + 1, len(cells))):
                if name in cells[other].binds:
                    if other not in found:
                        found.add(other)
                        left.append(other)
                    break
    return found - set(theirs)


def _in_order(node):
    """The nodes of a cell's outermost level as they are evaluated, what a statement binds after what it reads."""
    if isinstance(node, ast.ExceptHandler):
        yield node
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield ast.Name(node.target.id, ast.Load())
    for field in _EVALUATED.get(type(node), node._fields):
        value = getattr(node, field, None)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from _in_order(part)
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        yield from _in_order(node.generators[0].iter)  # the rest has a scope of its own, as a function has
    yield node


def _bound(node):
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {getattr(node, _BINDS[type(node)])} - {None} if type(node) in _BINDS else set()


def _of_functions(table):
    """(read, bound) at the outermost level by the functions and comprehensions in a symbol table, however deep."""
    read, bound = set(), set()
    for child in table.get_children():
        for symbol in child.get_symbols():
            if symbol.is_global() or symbol.is_declared_global():
                read |= {symbol.get_name()} if symbol.is_referenced() else set()
                bound |= {symbol.get_name()} if symbol.is_assigned() else set()
        more_read, more_bound = _of_functions(child)
        read, bound = read | more_read, bound | more_bound
    return read, bound


def _checked(call):
    """The exercise that `check(…)` is about, in a set."""
    if not (isinstance(call.func, ast.Name) and call.func.id == "check" and call.args):
        return set()
    answer, *more = [*call.args, *(word.value for word in call.keywords if word.arg == "name")]
    given = [one.value for one in more if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return set(given[:1]) or ({answer.id} if isinstance(answer, ast.Name) else set())
