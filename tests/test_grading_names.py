"""What a cell needs of other cells, and which cells of a lesson therefore run."""

import time

import pytest

from pgcourse.grading.names import is_prose, names, needed


@pytest.mark.parametrize(
    ("source", "needs", "binds"),
    [
        ("x = 1\nprint(x, y)", "y print", "x"),
        ("x = x + 1", "x", "x"),
        ("theta += 1", "theta", "theta"),
        ("x: int = y", "y", "x"),
        ("if (n := f()) > n: pass", "f", "n"),
        ("for n in range(3): print(n, m)", "range print m", "n"),
        ("with open(p) as (a, b): a", "open p", "a b"),
        ("try:\n    k\nexcept V as e:\n    print(e)", "k V print", "e"),
        ("import numpy as np, a.b\nfrom x import y as z, w", "", "np a z w"),
        ("def f(a, b=default):\n    c = g(a)\n    return c + theta", "default g theta", "f"),
        ("@deco\nclass A(B):\n    c = D\n    def f(self): return self.g + E", "deco B D E", "A"),
        ("def f():\n    return g()\ndef g():\n    return 1", "", "f g"),
        ("def f():\n    global G\n    G = 1", "", "f G"),
        ("f = lambda q: q + later", "later", "f"),
        ("a = [q * r for q in w for z in q if z]", "w r", "a"),
        ("match a:\n    case [b, *c]: d", "a d", "b c"),
        ("del x", "x", ""),
        ("%%time\n!pip install numpy\nx = !ls\ny = z", "z", "x y"),
        ("%matplotlib inline\nnp?\nif a:\n    %time b = f(c)\n    %timeit -n1 d", "a f c", "b"),
        ("x = (a\n% b)", "a b", "x"),
        ("await f()", "f", ""),
        ("def", "", ""),
        ("(" * 10_000, "", ""),
        ("x = " + "-" * 10**5 + "1", "", ""),
        ("x = '\0'", "", ""),
    ],
)
def test_what_a_cell_needs_and_binds(source, needs, binds):
    found = names(source)
    assert (found.needs, found.binds) == (set(needs.split()), set(binds.split()))


def test_what_is_checked_is_seen():
    assert names("check(mine, 'f')\ncheck(lambda x: -x, name='g')\ncheck(h)\ncheck(a.b)").checked == {"f", "g", "h"}


def test_many_lines_of_ipythons_cost_no_time():
    """IPython itself reads the whole cell again for each of them: a minute for this one."""
    started = time.process_time()
    assert names("!ls\n" * 20_000 + "x = 1").binds == {"x"}
    assert names("a" + "\t" * 90_000 + "!ls").binds == set()
    assert names("\t" * 90_000 + "?!").binds == set()
    assert time.process_time() - started < 2


def test_prose_in_a_code_cell():
    assert all(map(is_prose, ["# why\n# because", "'''why'''", "It is so because of curvature", ""]))
    assert not any(map(is_prose, ["x = 1", "print('why')", "!ls", "# why\nx"]))


def test_a_name_is_looked_up_in_the_nearest_cell_before_else_below():
    cells = [
        names(s) for s in ("a = 1", "b = a", "a = 2", "f(a)", "def f(x): return g(x)", "def g(x): return b", "c = 1")
    ]
    assert needed(cells, {3}) == {2, 4, 5, 1, 0}
    assert needed(cells, {2, 3}) == {4, 5, 1, 0}
    assert needed(cells, {6}) == set()
