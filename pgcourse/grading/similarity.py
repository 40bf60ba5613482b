"""Which students' answers are equal beyond chance.

Two answers count as equal if the same program is left once its variables are numbered in the order in which they
appear. Short answers are naturally equal, and so are many right ones; what tells something is several long answers
that the same few students have in common and hardly anybody else wrote.
"""

import ast
import hashlib
import math
import re
import warnings
from collections import defaultdict
from itertools import combinations

from pgcourse.grading.submission import is_answer

MAX_SOURCE = 20_000  # characters: what is longer is no answer, and parsers have their limits
LONG = 30  # nodes: shorter answers are often equal by themselves
MARGIN = 5  # bits: in 2 ** MARGIN classes whose answers are independent, about one pair is named
_MAGIC = re.compile(r"^[ \t]*[%!?].*$", re.MULTILINE)
_LEFT_OUT = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind"}
_VARIABLE = {  # which field of a node names one
    **dict.fromkeys(["FunctionDef", "AsyncFunctionDef", "ClassDef", "ExceptHandler", "MatchAs", "MatchStar"], "name"),
    **dict.fromkeys(["Global", "Nonlocal"], "names"),
    "Name": "id",
    "arg": "arg",
    "alias": "asname",
    "MatchMapping": "rest",
}


def fingerprint(source):
    """(digest, size): the same digest for code that differs in names, docstrings, annotations and layout only.

    size: how many nodes it has. Names that the code does not bind itself (builtins, modules, the lesson's functions),
    attributes, keywords and constants count. (None, 0) for code that does not parse or is too long; never raises.
    """
    if len(source) > MAX_SOURCE:
        return None, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(_MAGIC.sub("", source))
        tokens, size = _tokens(tree)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None, 0
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest(), size


class _Variable(str):
    __slots__ = ()


def _tokens(tree):
    """(what the digest is made of, number of nodes), without recursion: a tree may be deep."""
    own = {name for node in ast.walk(tree) for name in _bound(node)}
    numbers, tokens, size, left = {}, [], 0, [tree]
    while left:
        item = left.pop()
        if isinstance(item, _Variable):
            tokens.append(f"variable {numbers.setdefault(item, len(numbers))}")
        elif isinstance(item, ast.AST):
            size += 1
            node = ast.Assign([item.target], item.value) if isinstance(item, ast.AnnAssign) else item
            tokens.append(type(node).__name__)
            left += reversed(_parts(node, own))
        elif isinstance(item, list):
            tokens.append(f"list of {len(item)}")
            left += reversed(item)
        else:
            tokens.append(ascii(item))
    return tokens, size


def _bound(node):
    """The names that a node binds."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return []
    names = getattr(node, _VARIABLE.get(type(node).__name__, ""), None)
    return names if isinstance(names, list) else [names]


def _parts(node, own):
    """The fields of a node that matter, in order."""
    parts = []
    for field, value in ast.iter_fields(node):
        if field in _LEFT_OUT:
            continue
        if field == _VARIABLE.get(type(node).__name__):
            names = value if isinstance(value, list) else [value]
            value = [_Variable(name) if name is not None and name in own else name for name in names]
        elif field == "body" and isinstance(value, list):
            value = [statement for statement in value if not _is_remark(statement)]
        parts.append(value)
    return parts


def _is_remark(statement):
    """Whether it only speaks to the reader: a docstring, or a variable's annotation without a value."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def known_answers(lesson):
    """The digests of the course's own solutions, and of what was given out: equal to these says nothing."""
    cells = [cell for notebook in (lesson.source, lesson.release) for cell in notebook.cells if is_answer(cell)]
    return {fingerprint(cell.source)[0] for cell in cells} - {None}


def suspicious(rows, known=frozenset()):
    """Groups of students whose long answers agree beyond chance, the least likely first.

    rows: as for `report.page`. known: digests that say nothing, see `known_answers`.
    Returns [{"students": [...], "exercises": [(lesson, exercise, how many have that answer)], "score": bits}].

    An answer that a pair of students has in common counts log2(1 / share) bits, where share is the part of the other
    students who wrote the same, one added (so that it is never zero). A pair is named when its bits exceed those that
    the luckiest of all pairs reaches by chance, log2(number of pairs), by MARGIN. Pairs that overlap are one group.
    Not counted are answers below LONG nodes, known ones, and those that more than a quarter of the students (and more
    than three) wrote.
    """
    owners, students = _owners(rows, known)
    bits, shared = defaultdict(float), defaultdict(list)
    for (lesson, exercise, _), names in owners.items():
        everyone = len(students[lesson, exercise])
        if len(names) > max(3, everyone / 4):
            continue
        for pair in combinations(sorted(names), 2):
            bits[pair] += math.log2((everyone - 1) / (len(names) - 1))
            shared[pair].append((lesson, exercise, len(names)))
    size = len({name for names in students.values() for name in names})
    threshold = math.log2(max(1, math.comb(size, 2))) + MARGIN
    groups = []
    for pair in sorted((pair for pair in bits if bits[pair] > threshold), key=lambda pair: (-bits[pair], pair)):
        merged = [group for group in groups if group["students"] & set(pair)]
        group = {"students": set(pair), "exercises": set(shared[pair]), "score": bits[pair]}
        for other in merged:
            groups.remove(other)
            group["students"] |= other["students"]
            group["exercises"] |= other["exercises"]
            group["score"] = max(group["score"], other["score"])
        groups.append(group)
    groups.sort(key=lambda group: -group["score"])
    return [{**g, "students": sorted(g["students"]), "exercises": sorted(g["exercises"])} for g in groups]


def _owners(rows, known):
    """({(lesson, exercise, digest): students}, {(lesson, exercise): students}) of the answers that may tell something.

    The second are all who answered, those with short or known answers included.
    """
    owners, students = defaultdict(set), defaultdict(set)
    for row in rows:
        for exercise in row["exercises"]:
            digest, size = exercise.get("fingerprint"), exercise.get("size") or 0
            if digest is None:
                continue
            students[row["lesson"], exercise["name"]].add(row["student"])
            if size >= LONG and digest not in known:
                owners[row["lesson"], exercise["name"], digest].add(row["student"])
    return owners, students
