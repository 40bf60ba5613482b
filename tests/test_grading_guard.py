"""The guard of a jail fails closed: whatever a submission does to be unseen, it is ended, and nobody else is."""

import os
import signal
import time
from pathlib import Path

import pytest

from pgcourse.grading.jail import outside as jails
from pgcourse.grading.jail.outside import JailDied, JailUnavailable

pytestmark = pytest.mark.processes

HOGS = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        rename()
        x = b'x' * 2**27
        time.sleep(100)
rename()
time.sleep(100)
"""
RENAME = "import ctypes\ndef rename(): ctypes.CDLL(None).prctl(15, %r)\n"
UNSEEN = {
    "a name that is no text": RENAME % b"\xff\xfe\xfd" + HOGS,
    "a name like another line": RENAME % b") Z 0 0 0 (\n" + HOGS,
    "a name like a field": RENAME % b"x\nVmSize: 0 kB" + HOGS,
    "an empty name": RENAME % b"" + HOGS,
    "first threads that have ended": """
import ctypes, os, threading, time
def hold():
    time.sleep(0.2)
    x = b'x' * 2**27
    time.sleep(100)
for _ in range(6):
    if os.fork() == 0:
        threading.Thread(target=hold).start()
        ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)
time.sleep(100)
""",
    "other programs, which inherit nothing": """
import subprocess, sys, time
for _ in range(6): subprocess.Popen([sys.executable, '-c', "import time; x = b'x' * 2**27; time.sleep(100)"])
time.sleep(100)
""",
    "children that others have left": """
import os, time
for _ in range(6):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid(), os.setpgid(0, 0)
            x = b'x' * 2**27
            time.sleep(100)
        os._exit(0)
time.sleep(100)
""",
}


def family(warm):
    """The warm process's pid and those of all below it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            continue
    found = {warm._process.pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def ends(happens, seconds=5):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not happens():
        time.sleep(0.05)
    return happens()


@pytest.mark.parametrize("source", UNSEEN.values(), ids=UNSEEN)
def test_what_hides_is_ended_and_the_neighbour_goes_on(warm, source):
    idle = family(warm)
    with warm.jail() as neighbour, warm.jail() as jail:
        neighbour.run("x = 3")
        with pytest.raises(JailDied) as death:
            jail.run(source, 5)
        assert death.value.kind == "out of memory"
        assert neighbour.run("x") == ("passed", [{"show": "3"}])
    assert ends(lambda: family(warm) <= idle)


def test_as_many_processes_that_hold_little_are_left_alone(warm):
    source = (
        "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        time.sleep(0.5)\n        os._exit(0)\n"
    )
    with warm.jail() as jail:
        assert jail.run(f"{source}for _ in range(6): os.wait()\nprint('fine')", 4)[0] == "passed"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_without_a_guard_nothing_lives_on(warm, monkeypatch, end):
    """It is killed where the kernel has no memory left; one that hangs is as good as none."""
    monkeypatch.setattr(jails, "CLOSE_SECONDS", 1)
    idle = family(warm)
    jail = warm.jail()
    jail.run("import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()")
    guard, runner = sorted(family(warm) - idle)
    os.kill(guard, end)
    assert end == signal.SIGSTOP or ends(lambda: family(warm) <= idle)
    assert "cpu" not in jail.close()
    assert ends(lambda: not Path(f"/proc/{runner}").exists())
    with pytest.raises(JailUnavailable):
        warm.jail().run("1")
    warm.restart()
    with warm.jail() as jail:
        assert jail.run("1", 2)[0] == "passed"


@pytest.mark.parametrize("said", [b"", b"\xff", b"[1]", b'"x"', b"[" * 60_000, b'{"cpu": "x"}', b'{"cause": 1}'])
def test_a_report_that_makes_no_sense_is_none(said):
    report, writer = os.pipe()
    os.write(writer, said)
    os.close(writer)
    jail = jails.Jail.__new__(jails.Jail)
    jail.cpu, jail._report, jail._lost, jail.end = 0, report, lambda: None, None
    assert isinstance(jail._break("ended the process"), JailUnavailable)


# What the kernel holds

PILES = """
import ctypes, fcntl, mmap, os, resource, select, signal, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = %r
column = ('x86_64', 'aarch64').index(os.uname().machine)

def refused(name, *arguments):
    number = NUMBERS[name][column]
    if number is None: return
    if libc.syscall(number, *arguments) >= 0: print(name)

buffer, two = (ctypes.c_ulong * 1)(0), (ctypes.c_int * 2)()
refused('landlock_create_ruleset', 0, 0, 1)
refused('io_setup', 1000, buffer)
refused('inotify_init'), refused('inotify_init1', 0), refused('fanotify_init', 0, 0)
reader, writer = os.pipe()
other, more = os.pipe()
os.write(writer, b'x')
refused('tee', reader, more, 1, 0), refused('splice', reader, None, more, None, 1, 0)
open('/tmp/x', 'w').close()
try: os.setxattr('/tmp/x', 'user.x', b'x'); print('setxattr')
except OSError: pass
for option, *more in ((78, 1, 2**10, 0), (1, 0), (4, 0), (8, 1), (22, 1)):
    if libc.prctl(option, *more, 0, 0, 0) >= 0: print('prctl', option)
with open('/tmp/x', 'w+') as file:
    for number in range(10):
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 2 * number)
        fcntl.flock(file, fcntl.LOCK_EX)
    if os.fork() == 0:
        state = struct.unpack('hhqqi', fcntl.fcntl(file, fcntl.F_GETLK, struct.pack('hhqqi', 1, 0, 0, 0, 0)))
        if state[0] != 2: print('locked', state)
        os.write(1, b''), os._exit(state[0] != 2)
    if os.wait()[1]: print('locked')
timers = 0
event, number = ctypes.create_string_buffer(64), ctypes.c_int()
while timers < 5000 and libc.timer_create(1, None, ctypes.byref(number)) == 0: timers += 1
if timers > 1100: print('timers', timers)
try: socket.socketpair(30, socket.SOCK_STREAM); print('socketpair')
except OSError: pass
pair, _ = socket.socketpair()
for option in (7, 26, 50):
    try: pair.setsockopt(socket.SOL_SOCKET, option, 2**20); print('setsockopt', option)
    except OSError: pass
pair.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
print('end')
"""


def test_what_no_process_is_seen_to_hold_cannot_be_piled_up(warm):
    numbers = {
        "landlock_create_ruleset": (444, 444),
        "io_setup": (206, 0),
        "inotify_init": (253, None),
        "inotify_init1": (294, 26),
        "fanotify_init": (300, 262),
        "splice": (275, 76),
        "tee": (276, 77),
    }
    with warm.jail() as jail:
        status, shown = jail.run(PILES % numbers, 5)
    assert (status, shown) == ("passed", [{"stream": "stdout", "text": "end\n"}])


def test_a_data_base_works(warm):
    """It locks its file."""
    source = "import sqlite3\nwith sqlite3.connect('/tmp/x.db') as db:\n    db.execute('create table t (x)')\n"
    with warm.jail() as jail:
        assert jail.run(f"{source}    db.execute('insert into t values (3)')\nprint('fine')")[0] == "passed"


def test_full_sockets_count(warm):
    source = """
import os, socket, time
for _ in range(7):
    if os.fork() == 0:
        pairs = []
        for _ in range(100):
            pairs.append(socket.socketpair())
            pairs[-1][0].setblocking(False)
            try:
                while True: pairs[-1][0].send(b'x' * 4096)
            except OSError: pass
        time.sleep(100)
time.sleep(100)
"""
    with warm.jail() as jail, pytest.raises(JailDied) as death:
        jail.run(source, 5)
    assert death.value.kind == "out of memory"
