"""Submissions that try to win points, read or write what is not theirs: none gains any, the neighbour keeps theirs.

Each attack is the cell of one exercise, whose function is wrong. It may print what it finds: LEAK marks what it must
not. The forged replies are sent by the function itself, on the pipe that it shares with the runner.
"""

import json
import os
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from submissions import all_right, answered, as_data, graded, lesson, shown, statuses

import pgcourse
from pgcourse.grading.jail import wire

CHECKOUT = str(Path(pgcourse.__file__).parents[1])
WRONG = "\ndef log_softmax(logits):\n    return logits * 0 + 17\n"

ATTACKS = {
    "reads the solutions": f"""
import glob, os
for root, folders, files in os.walk('/'):
    if root.startswith(('/usr', '/sys')): folders.clear()
    if 'site-packages/' in root and 'pgcourse' not in root.rpartition('site-packages/')[2]: continue
    for name in files:
        if name.endswith(('.ipynb', '.db')) or 'lesson_' in name: print('LEAK', root, name)
for path in ('{CHECKOUT}/notebooks', '{CHECKOUT}/pgcourse/exercises', '{CHECKOUT}/.git'):
    if os.path.exists(path): print('LEAK', path)
""",
    "imports the oracle": """
names = 'exercises', 'exercises.cases', 'judging.verdicts', 'grading.judge', 'grading.jail.wire', 'publishing.edition'
for name in names:
    try:
        __import__('pgcourse.' + name)
        print('LEAK', name)
    except ImportError: pass
""",
    "looks for the canary": """
import os, subprocess, sys, gc
print(os.environ.get('CANARY'), subprocess.run(['env'], capture_output=True).stdout)
for kind in (str, bytes):
    found = [x for x in gc.get_objects() if isinstance(x, dict) and any('BEGIN HIDDEN' in str(k) for k in x)]
    if found: print('LEAK')
try: print('LEAK', open(os.environ.get('CANARY_FILE', '/canary/file')).read())
except OSError: pass
""",
    "reads the memory of others": """
import os
for pid in list(range(1, 100)) + [os.getppid()]:
    for name in ('environ', 'mem', 'maps', 'cmdline', 'root', 'fd', 'cwd'):
        if os.path.lexists(f'/proc/{pid}/{name}'): print('LEAK', pid, name)
print(*(['LEAK'] if os.path.exists('/proc/self') or os.getppid() else []))
""",
    "signals the parent": """
import os, signal
for pid in [os.getppid(), -1, 0] + list(range(2, 400)):
    for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        try:
            if pid != 0: os.kill(pid, number)
        except OSError: pass
""",
    "steals descriptors": """
import os, socket
for fd in range(0, 300):
    try: where = os.fstat(fd)
    except OSError: continue
    if fd > 4: print('LEAK', fd, where)
for fd in (3, 4):
    try: socket.socket(fileno=os.dup(fd)); print('LEAK')
    except OSError: pass
    try: os.lseek(fd, 0, 0); print('LEAK')
    except OSError: pass
""",
    "patches the checks": """
import pgcourse, pgcourse.checking, pgcourse.judging.calling, numpy as np
pgcourse.check = pgcourse.checking.check = check = lambda *a, **k: None
pgcourse.checking.CheckFailed = pgcourse.judging.calling.Problem = ValueError
pgcourse.judging.calling.probe = lambda answer, inputs, *a: {'result': np.zeros(3)}
np.allclose = np.array_equal = lambda *a, **k: True
np.ndarray.__eq__ = None if False else np.ndarray.__eq__
""",
    "always equals": """
class Yes(float):
    __eq__ = __le__ = __ge__ = lambda *a: True
    __sub__ = __rsub__ = __abs__ = lambda *a: Yes()
def log_softmax(logits):
    return [Yes() for _ in logits]
""",
    "an array of its own": """
import numpy as np
class Yes(np.ndarray):
    def __array_ufunc__(self, *a, **k): return np.array(True)
    def __eq__(self, other): return np.array(True)
def log_softmax(logits):
    return np.zeros_like(logits).view(Yes)
""",
    "forges an execute_result": """
from IPython.display import display
import sys
display({'text/plain': '100'}, raw=True)
sys.displayhook(100)
print('✓ log_softmax: right in all 14 cases.')
100
""",
    "a start-up file": """
import os, pathlib
for folder in ('~/.ipython/profile_default/startup', '/root/.ipython/profile_default/startup', '/tmp/ipython/startup'):
    try:
        path = pathlib.Path(folder).expanduser()
        path.mkdir(parents=True)
        (path / '00.py').write_text("import builtins; builtins.check = lambda *a, **k: None")
    except OSError: pass
pathlib.Path('sitecustomize.py').write_text("raise SystemExit")
""",
    "an input transformer": """
ip = get_ipython()
ip.input_transformers_cleanup.append(lambda lines: ['pass\\n'])
import ast
class Drop(ast.NodeTransformer):
    def visit_Call(self, node): return ast.Constant(None)
ip.ast_transformers.append(Drop())
""",
    "frame inspection": """
import sys, gc
frame = sys._getframe()
while frame:
    for name, value in {**frame.f_globals, **frame.f_locals}.items():
        if name in ('seed', 'verdict', 'exercise', 'oracle', 'grading_seed', 'cases', 'EXERCISES'): print('LEAK', name)
    frame = frame.f_back
""",
    "replaces the probe": """
from pgcourse.judging import calling
def lie(*a): raise calling.Problem('passed', 'right in all cases', 'passed')
calling.probe = lie
""",
    "replaces the runner": """
import gc
runner = next(d for d in gc.get_objects() if isinstance(d, dict) and 'prefer_to_be_killed' in d)
runner['answer'] = lambda shell, header, inputs: runner['wire'].pack({'problem': ['passed', 'right', 'passed']})
""",
    "answers from the frames above": """
def log_softmax(logits):
    import sys
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, dict) and 'expected' in value: return value['expected']
        frame = frame.f_back
    return logits
""",
    "remembers for the next": """
import os, pathlib, multiprocessing
for folder in ('/tmp', '/dev/shm', '/var/tmp', '/run', os.getcwd(), '/jail', '/jail/pgcourse'):
    try: pathlib.Path(folder, 'gift.py').write_text('answers')
    except OSError: pass
import ctypes
print(ctypes.CDLL(None).syscall(248, b'user', b'gift', b'answers', 7, -3))
""",
    "a fork that stays": """
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        try: os.write(4, b'x' * 8)
        except OSError: time.sleep(0.01)
""",
    "a thread that answers": """
import os, threading, sys
def talk():
    while True: os.write(4, sys.modules['wire'].pack({'problem': ['wrong', 'no', None]}))
threading.Thread(target=talk, daemon=True).start()
""",
    "a symlink home": """
import os, shutil
shutil.rmtree('/tmp/home', ignore_errors=True)
os.symlink('/', '/tmp/home')
os.symlink('/etc/passwd', '/tmp/x')
print('LEAK' if 'bash' in open('/tmp/x').read() else '')
""",
    "a name in another alphabet": """
def ｌｏｇ_ｓｏｆｔｍａｘ(logits): return 17
globals()['log_\\u0455oftmax'] = lambda logits: 17
globals()['\\ud800'] = 1
print('\\u202e drawkcab \\ud800 \\x1b]0;title\\x07 \\x00')
""",
    "a metaclass with a fuse": """
class Fuse(type):
    def __call__(cls, *a): raise SystemExit(0)
    def __getattribute__(cls, name): raise KeyboardInterrupt
class log_softmax(metaclass=Fuse): pass
""",
    "exits": "import sys, os, atexit\natexit.register(os._exit, 0)\nsys.exit(0)",
    "ends the process": "import os\nos._exit(0)",
    "raises SystemExit": "def log_softmax(logits): raise SystemExit(0)",
    "raises nothing known": "class E(BaseException):\n    __str__ = None\ndef log_softmax(logits): raise E",
    "an error that lies": "E = type('passed', (Exception,), {})\ndef log_softmax(logits): raise E('passed')",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "a crash": "import ctypes\nctypes.string_at(1)",
    "a fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "a memory hog": "x = []\nwhile True: x.append(bytearray(10**7))",
    "a disk filler": "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * 10**6)",
    "endless output": "while True: print('x' * 1000)",
    "a huge result": "def log_softmax(logits):\n    import numpy as np\n    return np.zeros(10**8)",
    "an endless result": "def log_softmax(logits): return [1.0] * 10**7",
    "an object array": "import numpy as np\ndef log_softmax(logits): return np.array([logits, None], dtype=object)",
    "strings": "def log_softmax(logits): return ['nan'] * len(logits)",
    "nan": "def log_softmax(logits): return logits * float('nan')",
    "infinity": "def log_softmax(logits): return logits + float('inf')",
    "a broadcast": "import numpy as np\ndef log_softmax(logits): return np.broadcast_to(0.0, (10**6, *logits.shape))",
    "an upload": "import urllib.request\nprint('LEAK', urllib.request.urlopen('http://127.0.0.1:8888/').read())",
    "hidden markers": "### BEGIN HIDDEN TESTS\n### BEGIN SOLUTION\ndef log_softmax(logits): return 0\n### END SOLUTION",
}  # fmt: skip


@pytest.fixture(scope="module")
def course():
    return lesson("01_log_gradient_trick")


@pytest.fixture(scope="module")
def neighbour(course, warm):
    """Grades somebody who has everything right, in the same warm."""

    def grade():
        result = graded(course, all_right(course), warm)
        return {key: value for key, value in result.items() if key not in ("seconds", "cpu", "exercises")}

    before = grade()
    assert before["status"] == "passed"
    yield grade
    assert grade() == before


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file and a variable of the grader's; neither is read or touched."""
    file = tmp_path / "canary"
    file.write_text("LEAK")
    monkeypatch.setenv("CANARY", "LEAK")
    monkeypatch.setenv("CANARY_FILE", str(file))
    yield
    assert file.read_text() == "LEAK"
    assert os.listdir(tmp_path) == ["canary"]


def assert_nothing_is_gained(result):
    assert result["score"] == 0, result["reason"]
    assert result["reason"]
    assert statuses(result)["log_softmax"] != "passed"
    assert "LEAK" not in shown(result)
    for cell in result["notebook"].cells:
        if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code":
            assert cell.outputs[-1].output_type == "error"
    json.dumps({**result, "notebook": None}).encode()
    as_data(result["notebook"])


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(course, warm, neighbour, canary, attack, monkeypatch):
    monkeypatch.setattr(warm, "limits", replace(warm.limits, cell_seconds=1))
    cell = WRONG + ATTACKS[attack] if "log_softmax" not in ATTACKS[attack] else ATTACKS[attack]
    started = time.monotonic()
    assert_nothing_is_gained(graded(course, answered(course, log_softmax=cell), warm))
    assert time.monotonic() - started < warm.limits.total_seconds + 5


@pytest.mark.parametrize("attack", ["a fork bomb", "ends the process", "a memory hog", "a crash", "exits"])
def test_the_other_answers_of_the_same_submission_count(course, warm, attack, monkeypatch):
    monkeypatch.setattr(warm, "limits", replace(warm.limits, cell_seconds=2))
    notebook = answered(course, log_softmax=ATTACKS[attack], softmax_score=True, exact_bandit_gradient=True)
    result = graded(course, notebook, warm)
    assert (statuses(result)["softmax_score"], statuses(result)["exact_bandit_gradient"]) == ("passed", "passed")
    assert result["score"] == 5


# On the pipe


def framed(header, blobs=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">Q", len(text)) + text + blobs


def result_of(dtype, shape, blob):
    return framed({"values": [["result", dtype, shape]], "blobs": [len(blob)]}, blob)


REPLIES = {
    "passed": framed({"problem": ["passed", "log_softmax: right in all cases", "passed"], "blobs": []}),
    "no kind": framed({"problem": [None, None, None], "blobs": []}),
    "a longer problem": framed({"problem": ["raised", "x" * 10**6, None], "blobs": []}),
    "a verdict": framed({"status": "passed", "score": 100, "verdict": "passed", "blobs": []}),
    "a cell": framed({"status": "passed", "outputs": [], "blobs": []}),
    "nothing": framed({"blobs": []}),
    "no values": framed({"values": [], "blobs": []}),
    "a number for an array": framed({"values": [["result", 1.5]], "blobs": []}),
    "other names": framed({"values": [["__class__", "float64", [1]]], "blobs": [8]}, b"\0" * 8),
    "two results": framed({"values": [["result", "float64", [1]]] * 2, "blobs": [8, 8]}, b"\0" * 16),
    "objects": result_of("object", [1], b"\0" * 8),
    "a pickle": result_of("O", [1], b"cos\nsystem\n(S'touch /tmp/x'\ntR."),
    "a structure": result_of([["a", "float64"]], [1], b"\0" * 8),
    "times": result_of("datetime64[ns]", [1], b"\0" * 8),
    "complex": result_of("complex128", [1], b"\0" * 16),
    "other truths": result_of("bool", [3], b"\2\3\4"),
    "nan": result_of("float64", [3], np.full(3, np.nan).tobytes()),
    "signalling nan": result_of("float64", [3], b"\x01\0\0\0\0\0\xf0\x7f" * 3),
    "no shape": result_of("float64", [], b"\0" * 24),
    "negative shape": result_of("float64", [-1], b"\0" * 24),
    "a shape of fractions": result_of("float64", [3.0], b"\0" * 24),
    "a shape of truths": result_of("float64", [True, 3], b"\0" * 24),
    "an overflowing shape": result_of("float64", [2**32, 2**32], b""),
    "an empty giant": result_of("float64", [0, 2**25, 2**25, 2**25, 2**25], b""),
    "many dimensions": result_of("float64", [1] * 40, b"\0" * 8),
    "a giant": framed({"values": [["result", "float64", [10**9]]], "blobs": [8 * 10**9]}),
    "a negative giant": framed({"values": [], "blobs": [-(2**62)]}),
    "many blobs": framed({"values": [], "blobs": [0] * 10**5}),
    "no list of blobs": framed({"values": [], "blobs": {"a": 1}}),
    "a huge header": struct.pack(">Q", 2**63) + b"{}",
    "no JSON": framed(b"[1, 2"),
    "no dictionary": framed(b"[]"),
    "no text": framed(b"\xff\xfe\x00\xd8"),
    "deep JSON": framed(b"[" * 500_000),
    "deep dictionaries": framed(b'{"a":' * 100_000),
    "a number of a million digits": framed(b'{"blobs": [' + b"9" * 10**6 + b"]}"),
    "infinity": framed(b'{"values": [["result", 1e999]], "blobs": [Infinity]}'),
    "half a character": framed(b'{"problem": ["raised", "\\ud800", "\\udfff"], "blobs": []}'),
    "half a message": struct.pack(">Q", 100) + b'{"problem"',
    "a thousand answers": framed({"problem": ["wrong", "no", None], "blobs": []}) * 1000,
    "zeros": b"\0" * 10**5,
}


@pytest.mark.parametrize("reply", REPLIES)
def test_forged_reply(course, warm, neighbour, reply):
    cell = f"def log_softmax(logits):\n    import os, zlib\n    data = memoryview({REPLIES[reply]!r})\n"
    if len(REPLIES[reply]) > 10_000:
        import zlib

        cell = cell.replace(repr(REPLIES[reply]), f"zlib.decompress({zlib.compress(REPLIES[reply])!r})")
    cell += "    while data: data = data[os.write(4, data[:4096]):]\n    import time\n    time.sleep(0.2)"
    started = time.monotonic()
    assert_nothing_is_gained(graded(course, answered(course, log_softmax=cell), warm))
    assert time.monotonic() - started < 15


def test_a_slow_drip_is_cut_off_in_time(course, warm):
    cell = """
def log_softmax(logits):
    import os, signal, time
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        os.write(4, b'\\0')
        time.sleep(0.1)
"""
    started = time.monotonic()
    result = graded(course, answered(course, log_softmax=cell), warm)
    assert_nothing_is_gained(result)
    assert time.monotonic() - started < 15


def test_an_early_reply_for_the_visible_cases_wins_nothing(course, warm):
    """The visible cases are known to all: an answer by heart passes them, not the hidden ones."""
    cell = """
import numpy as np
def log_softmax(logits):
    key = logits.tobytes()
    if key not in KNOWN: return logits * 0
    return np.frombuffer(KNOWN[key]).reshape(logits.shape)
"""
    from pgcourse.exercises import EXERCISES
    from pgcourse.judging import verdicts

    exercise = EXERCISES["log_softmax"]
    known = {}
    for inputs in exercise.cases(0):
        known[inputs["logits"].tobytes()] = verdicts.expected(exercise, inputs)["result"].tobytes()
    result = graded(course, answered(course, log_softmax=f"KNOWN = {known!r}\n{cell}"), warm)
    assert_nothing_is_gained(result)
    assert "✓" in shown(result)


def test_random_bytes_are_never_more_than_garbled():
    rng = np.random.default_rng(0)
    valid = wire.pack({"values": wire.encode({"result": np.ones(3)})[0]}, [b"\0" * 24])
    for _ in range(2000):
        data = bytearray(valid)
        for position in rng.integers(len(data), size=rng.integers(1, 4)):
            data[position] = rng.integers(256)
        read, write = os.pipe()
        os.write(write, bytes(data))
        os.close(write)
        try:
            message = wire.receive(read, time.monotonic() + 1)
            values = wire.decode(message[0].get("values"), message[1])
            assert all(isinstance(value, np.ndarray | bool | int | float | str | None) for value in values.values())
        except wire.Garbled:
            pass
        finally:
            os.close(read)
