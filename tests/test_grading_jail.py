"""What a jail lets through, what it does not, and how it ends."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pgcourse
from pgcourse.exercises import EXERCISES
from pgcourse.grading.jail import outside as jails
from pgcourse.grading.jail import stripped
from pgcourse.grading.jail.outside import JailDied, JailUnavailable, WarmProcess
from pgcourse.judging.calling import Problem

pytestmark = pytest.mark.processes
CHECKOUT = Path(pgcourse.__file__).parents[1]
BELOW_TMP = [path for path in map(Path, jails._python_folders()) if path.is_relative_to("/tmp")]
IN_TMP = sorted({"home", *(path.parts[2] for path in BELOW_TMP)})  # the way to this Python, if it is there


def text_of(shown):
    return "".join(output.get("text", output.get("show", "")) for output in shown)


def run(warm, source, seconds=2):
    """What a cell printed in a jail of its own."""
    with warm.jail() as jail:
        status, shown = jail.run(source, seconds)
        assert status == "passed", text_of(shown)
        return text_of(shown)


def test_cells_run_as_in_jupyter(warm):
    with warm.jail() as jail:
        assert jail.run("import numpy as np\nx = 3\nx + 1") == ("passed", [{"show": "4"}])
        assert jail.run("x;") == ("passed", [])
        assert jail.run("print(x)\n_") == ("passed", [{"stream": "stdout", "text": "3\n"}, {"show": "4"}])
        status, shown = jail.run("import sys\nprint('a', file=sys.stderr)\n1 / 0")
        assert (status, shown[0]) == ("raised", {"stream": "stderr", "text": "a\n"})
        assert (shown[1]["error"], "1 / 0" in shown[1]["text"]) == ("ZeroDivisionError", True)
        assert jail.run("def (")[0] == "raised"
        assert jail.run("%time 1")[0] == "passed"
        assert jail.run("import asyncio\nawait asyncio.sleep(0)")[0] == "passed"


def test_figures_come_as_png(warm):
    with warm.jail() as jail:
        status, shown = jail.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", 10)
        assert (status, [*shown[0]]) == ("passed", ["png"])
        assert shown[0]["png"].startswith(b"\x89PNG")
        status, shown = jail.run("from pgcourse import plots\nfig, ax = plots.figure()\nplots.show(fig, 'nothing')", 10)
        assert status == "passed", text_of(shown)


def test_calls_carry_arrays_and_problems(warm):
    with warm.jail() as jail:
        jail.run("def double(x, k, flag): return [x * k, x + flag]\ndef broken(x): return x / 'a'\nnumber = 3")
        x = np.arange(6, dtype=np.int64).reshape(2, 3)
        result = jail.call("double", {"x": x, "k": 2.5, "flag": True}, "function", 2)["result"]
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, [x * 2.5, x + 1])
        assert jail.call("broken", {"x": x}, "function", 2).kind == "raised"
        assert jail.call("number", {"x": x}, "function", 2).kind == "not a function"
        assert jail.call("missing", {"x": x}, "function", 2).kind == "not defined"
        for odd in (np.zeros((0, 3)), np.array(2.5), np.array([np.nan, np.inf]), np.array([True])):
            jail.run("def same(x): return x")
            np.testing.assert_array_equal(jail.call("same", {"x": odd}, "function", 2)["result"], odd)


def test_random_numbers_repeat(warm):
    source = "import random, numpy as np, torch\nprint(random.random(), np.random.rand(), torch.rand(1), hash('a'))"
    assert run(warm, source) == run(warm, source)


def test_nothing_is_there_but_the_system(warm):
    seen = run(
        warm,
        "import os, pgcourse\nfor path in ('/', '/jail', '/jail/pgcourse', '/proc', '/tmp', os.getcwd(), '/dev'):\n"
        "    print(path, sorted(os.listdir(path)))\nprint(os.getuid(), os.getpid(), os.environ)",
    )
    assert "exercises" not in seen
    assert "grading" not in seen
    assert f"/tmp {IN_TMP}\n/tmp/home []\n" in seen
    assert f"\n{65534 if os.getuid() == 0 else os.getuid()} 1 " in seen
    places = [CHECKOUT / "notebooks", CHECKOUT / "pgcourse" / "exercises", CHECKOUT / ".git", Path.home() / ".bashrc"]
    places += [
        Path("/etc/shadow"),
        Path("/etc/hostname"),
        Path("/var"),
        Path("/run"),
        Path("/proc/1"),
        Path("/proc/self"),
    ]
    assert run(warm, f"import os\nprint([p for p in {[*map(str, places)]} if os.path.lexists(p)])") == "[]\n"


def test_nothing_can_be_written_outside_of_tmp(warm):
    folders = [
        "/",
        "/jail",
        "/jail/pgcourse",
        "/dev",
        "/etc",
        "/proc",
        "/usr",
        "/usr/bin",
        sys.prefix,
        sys.prefix + "/lib",
    ]
    folders += [np.__path__[0], str(CHECKOUT), "/sys/devices/system/cpu"]
    if BELOW_TMP:  # what leads there is the jail's own, and empty
        folders = [folder for folder in folders if folder not in (sys.prefix, str(CHECKOUT))]
    source = (
        f"import os\nfor folder in {folders}:\n"
        "    try:\n        open(folder + '/x', 'w')\n        print('written', folder)\n    except OSError: pass\n"
        "    try:\n        os.chmod(folder, 0o777)\n        print('changed', folder)\n    except OSError: pass\n"
        "open('/tmp/x', 'w').write('fine')\nprint('end')"
    )
    assert run(warm, source) == "end\n"
    assert run(warm, "import os\nprint(sorted(os.listdir('/tmp')))") == f"{IN_TMP}\n"


def test_a_python_below_tmp_or_in_a_closed_home_works_and_stays_read_only(monkeypatch, tmp_path):
    tmp_path.chmod(0o700)  # as a home is: only its owner may enter, and cells run as nobody where root grades
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "module.py").write_text("there")
    (tmp_path / "pyvenv.cfg").write_text("cfg")
    (tmp_path / "lib64").symlink_to("lib")
    places = [str(tmp_path / name) for name in ("lib", "pyvenv.cfg", "lib64")]
    assert places[0].startswith("/tmp/"), "pytest's --basetemp has to be below /tmp for this test"
    folders = jails._python_folders()
    monkeypatch.setattr(jails, "_python_folders", lambda: folders + places)
    source = f"""
for name in ("lib/module.py", "pyvenv.cfg", "lib64/module.py"):
    print(open("{tmp_path}/" + name).read())
    try: open("{tmp_path}/" + name, "w")
    except OSError as error: print(error.strerror)
written = open("/tmp/x", "w").write("fine")
"""
    with WarmProcess() as warm:
        assert run(warm, source).split("\n") == [
            *("there", "Read-only file system", "cfg", "Read-only file system"),
            *("there", "Read-only file system", ""),
        ]
    assert (tmp_path / "lib" / "module.py").read_text() == "there"


def test_no_network_no_kernel_no_privileges(warm):
    source = """
import ctypes, os, socket
libc = ctypes.CDLL(None)
for family in range(46):
    try:
        socket.socket(family).close()
        print(family, end=' ')
    except OSError: pass
for address in ('127.0.0.1', '1.1.1.1', '169.254.169.254'):
    try:
        socket.create_connection((address, 80), 1)
        print('connected', address)
    except OSError: pass
print([libc.unshare(flag) for flag in (0x10000000, 0x20000, 0x40000000)], libc.mount(b'x', b'/tmp', b'tmpfs', 0, None),
      libc.ptrace(16, 1, 0, 0), libc.prctl(24, 21), libc.setuid(0), libc.chroot(b'/tmp'), libc.syscall(425, 1, 0),
      libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0))
try: os.setpriority(os.PRIO_PROCESS, 0, -5); print('priority')
except OSError: pass
try: os.kill(-1, 9); print('killed')
except OSError: pass
"""
    assert run(warm, source) == "1 2 10 [-1, -1, -1] -1 -1 -1 -1 -1 -1 -1\n"


def test_no_copy_of_the_package_is_there_but_the_stripped_one(warm):
    source = """
import os
for top in ('/usr', '/root', '/home', '/opt', '/work', '/jail', %r, %r):
    for root, folders, files in os.walk(top, followlinks=True):
        package = {'exercises', 'notebooks', 'estimators.py', '__init__.py'}  # not a checkout that is called so
        if os.path.basename(root) == 'pgcourse' and package & {*folders, *files}: print(root)
        if root.count('/') > 14: folders.clear()
"""
    assert run(warm, source % (sys.prefix, sys.base_prefix), 60) == "/jail/pgcourse\n"


def test_references_import_and_raise(warm):
    for reference in sorted({name for exercise in EXERCISES.values() for name in exercise.references} - stripped.KEPT):
        module, _, function = reference.partition(".")
        with warm.jail() as jail:
            arguments = f"[None] * {function}.__code__.co_argcount" if "." not in function else "[]"
            _, shown = jail.run(f"from pgcourse.{module} import {function}\nnext(iter([{function}(*{arguments})]))")
            assert "RuntimeError: pgcourse." in text_of(shown), reference


def test_what_is_kept_for_other_answers_is_noticed_where_it_is_the_answer(warm):
    source = """
import numpy as np
from pgcourse.trajectories import Trajectories

def totals(rewards, mask):
    return Trajectories(mask * 1, mask * 1, rewards, mask, mask[:, 0]).total_rewards
"""
    inputs = {"rewards": np.ones((2, 3)), "mask": np.ones((2, 3), dtype=bool)}
    with warm.jail() as jail:
        jail.run(source)
        assert jail.call("totals", inputs, "function", 2)["result"].tolist() == [3, 3]
        noticed = jail.call("totals", inputs, "function", 2, stripped.KEPT)
        assert noticed.kind == "reference"
        assert noticed.message.startswith("calls pgcourse.trajectories.Trajectories.total_rewards, ")


@pytest.mark.parametrize(
    "change",
    [
        "calling.KINDS['surrogate_loss'] = lambda answer, given: {'log_probs.grad': -given['log_probs']}",
        "calling._surrogate_loss.__code__ = (lambda answer, given: {'log_probs.grad': given['mask'] * 1.0}).__code__",
        "calling._identical = lambda given, original: True",
        "calling._Supervision.on = lambda self: calling.redirect_stderr(None)",
    ],
)
def test_an_answer_that_puts_itself_between_is_told_so(warm, change):
    inputs = {"log_probs": -np.ones((1, 2)), "total_rewards": np.ones(1), "mask": np.ones((1, 2), dtype=bool)}
    loss = "lambda log_probs, r, mask: -(log_probs * mask * r[:, None]).sum() / len(r)"
    with warm.jail() as jail:
        jail.run(f"from pgcourse.judging import calling\nloss = {loss}")
        assert "log_probs.grad" in jail.call("loss", inputs, "surrogate_loss", 2)
        assert jail.run(change)[0] == "passed"
        told = jail.call("loss", inputs, "surrogate_loss", 2)
        assert (told.kind, told.message[:29]) == ("mutated", "changed pgcourse.judging.call")


def test_a_reference_that_does_not_exist_is_named():
    with pytest.raises(LookupError, match=r"pgcourse\.mdp has no function missing"):
        stripped.without("def there(): pass", {"missing", "there"}, "mdp")


def test_the_lessons_modules_work_without_the_answers(warm):
    source = "from pgcourse import check, progress, mdp, exact, policies\ncheck(len)\nprogress()\n"
    source += "print(len(exact.trajectories(mdp.two_armed(), policies.SoftmaxTable(*mdp.two_armed().r.shape))[0]) > 0)"
    assert run(warm, source) == "Checked when this is graded.\nProgress is not shown here.\nTrue\n"
    for module in ("exercises", "grading", "judging.verdicts", "judging.messages", "publishing", "files", "cli"):
        with warm.jail() as jail:
            assert jail.run(f"import pgcourse.{module}")[0] == "raised"


# Limits


def ended(warm, source, seconds=2):
    """How a cell ended a jail, and how many seconds that took."""
    started = time.monotonic()
    with warm.jail() as jail, pytest.raises(JailDied) as death:
        jail.run(source, seconds)
    with pytest.raises(JailDied):
        jail.run("1")
    return death.value.kind, time.monotonic() - started


def test_a_loop_is_stopped_kindly_and_the_jail_goes_on(warm):
    with warm.jail() as jail:
        assert jail.run("x = 1\nwhile True: pass", 0.5)[0] == "timed out"
        assert jail.run("x", 2) == ("passed", [{"show": "1"}])
        jail.run("def loop(x):\n    while True: pass")
        assert jail.call("loop", {"x": 1}, "function", 0.5).kind == "timed out"
        assert jail.call("loop", {"x": 1}, "function", 0.5).kind == "timed out"


RESISTING = {
    "swallows": "import time\nwhile True:\n    try: time.sleep(0.1)\n    except BaseException: pass",
    "ignores": "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass",
    "blocks": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "stops itself": "import os, signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nos.read(3, 1)",
}


@pytest.mark.parametrize("source", RESISTING.values(), ids=RESISTING)
def test_a_loop_that_resists_is_killed(warm, source):
    kind, seconds = ended(warm, source, 0.5)
    assert kind == "timed out"
    assert seconds < 0.5 + jails.GRACE_SECONDS + 2


@pytest.mark.parametrize(
    "source", ["import os\nos._exit(0)", "import ctypes\nctypes.string_at(0)", "import os\nos.abort()"]
)
def test_a_process_that_ends_itself_is_told_from_one_that_is_too_slow(warm, source):
    assert ended(warm, source)[0] == "died"


def test_one_process_gets_a_memory_error(warm):
    for source in ("x = bytearray(2**30)", "import torch\ntorch.ones(2**28)", "import numpy as np\nnp.ones(2**28)"):
        with warm.jail() as jail:
            assert jail.run(source)[0] == "raised", source
            assert jail.run("1")[0] == "passed"
        with warm.jail() as jail:
            jail.run(f"def hog(x):\n    {source.replace(chr(10), chr(10) + '    ')}")
            assert jail.call("hog", {"x": 1}, "function", 2).kind == "out of memory"


def test_many_processes_together_are_killed(warm):
    source = (
        "import os, time\nfor _ in range(8):\n"
        "    if os.fork() == 0:\n        x = b'x' * 2**26\n        time.sleep(100)\ntime.sleep(100)"
    )
    assert ended(warm, source, 5)[0] == "out of memory"


def test_shared_memory_counts(warm):
    source = "import mmap, os, time\nos.fork(), os.fork()\nx = mmap.mmap(-1, 2**27)\n"
    source += "for _ in range(128): x.write(b'x' * 2**20)\ntime.sleep(100)"
    assert ended(warm, source, 10)[0] == "out of memory"


def test_a_fork_bomb_is_contained_and_gone(warm):
    source = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError: pass"
    with warm.jail() as jail:
        try:
            how, _ = jail.run(source, 1)
        except JailDied as death:
            how = death.kind
    assert how in ("timed out", "out of memory")
    assert len(family(warm)) == FAMILY


FAMILY = 3  # bubblewrap outside, bubblewrap inside, the warm process


def family(warm):
    """The processes of a warm, when the last guard is gone."""
    for _ in range(100):
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        found = {warm._process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        if len(found) <= FAMILY:
            break
        time.sleep(0.1)
    return found


def test_left_over_processes_end_with_their_jail(warm):
    daemon = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(1000)\n    os._exit(0)"
    )
    run(warm, daemon)
    assert len(family(warm)) == FAMILY


def test_disk_and_files_are_limited(warm):
    source = """
written = 0
try:
    for i in range(1000):
        with open(f'/tmp/{i}', 'wb') as file: written += file.write(b'x' * 2**20)
except OSError as error: print(error.strerror, written <= 2**24)
try:
    for i in range(10**5): open(f'/tmp/home/{i}', 'w').close()
except OSError as error: print(error.strerror)
"""
    assert run(warm, source, 10) == "No space left on device True\nNo space left on device\n"


def test_output_is_limited(warm):
    with warm.jail() as jail:
        _, shown = jail.run("print('x' * 10**8)", 5)
        assert len(text_of(shown)) < 2200
        _, shown = jail.run("for _ in range(10**5): print('y')\nx = 'z' * 10**7\nx", 10)
        assert len(text_of(shown)) < 2400
        source = (
            "import base64\nfrom IPython.display import Image, display\nfor _ in range(20): display(Image(b'\\x89PNG'))"
        )
        assert len(jail.run(source)[1]) <= 20


def test_only_text_and_png_come_out(warm):
    source = (
        "from IPython.display import HTML, Javascript, SVG, display\ndisplay(HTML('<script>'), Javascript('x()'))\n"
    )
    source += "display({'text/html': '<b>', 'image/svg+xml': '<svg/>', 'application/json': '{}'}, raw=True)\n"
    source += "display({'image/png': 'bm8='}, raw=True)\nprint('\\x1b[31mred\\x1b[0m \\ud800 \\0 end')"
    with warm.jail() as jail:
        _, shown = jail.run(source)
    assert {key for output in shown for key in output} <= {"show", "stream", "text"}
    assert "<script>" not in text_of(shown)
    assert text_of(shown).endswith("red ? ? end\n") or text_of(shown).endswith("red ?  end\n")


# Ends


def test_hanging_up_ends_everything(warm):
    jail = warm.jail()
    jail.run("import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()")
    assert jail.close()["cause"] == "hung up"
    assert len(family(warm)) == FAMILY


def test_a_grader_that_is_killed_leaves_nothing(warm):
    source = (
        "import os, sys\nfrom pgcourse.grading.jail.outside import WarmProcess\nn = WarmProcess()\n"
        "j = n.jail()\nj.run('1')\nprint(n._process.pid, flush=True)\nj.run('while True: pass', 100)"
    )
    grader = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    pid = int(grader.stdout.readline())
    grader.kill()
    grader.wait()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


def test_without_bubblewrap_nothing_is_graded(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        JailUnavailable, match=r"(?s)bubblewrap is not installed.*apt install bubblewrap.*--unsafe-no-jail"
    ):
        WarmProcess()


def test_a_bubblewrap_that_may_not_is_reported(monkeypatch, tmp_path):
    script = tmp_path / "bwrap"
    script.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(JailUnavailable, match=r"(?s)No permissions to create a new namespace.*sysctl"):
        WarmProcess()


def test_the_callers_environment_stays_outside(warm, monkeypatch):
    monkeypatch.setenv("PGCOURSE_SECRET", "canary")
    with WarmProcess(warm.limits) as fresh:
        assert "canary" not in run(fresh, "import os\nprint(os.environ, open('/proc/stat').read()[:0])")


def test_unsafe_runs_without_namespaces():
    with WarmProcess(unsafe=True) as warm, warm.jail() as jail:
        jail.run("def f(x): return 2 * x")
        np.testing.assert_array_equal(jail.call("f", {"x": np.ones(2)}, "function", 2)["result"], [2, 2])
        assert isinstance(jail.call("g", {"x": 1}, "function", 2), Problem)
