"""What runs within bubblewrap: a warm process, its forks' guards, and the submissions. It knows no case and no oracle.

    bwrap ── template ── guard ─┊─ runner       ┊ = new user, mount, pid, network, ipc and uts namespaces

The template has everything imported and runs nobody's code; it forks a guard for every jail that is asked for. The
guard enters new namespaces, of which its one child, the runner, is process 1: when that ends, so does all that the
submission started. The guard stays outside, watches the memory of all processes together, kills them when the judge
hangs up, and says at last how it ended. A runner sees read-only folders and an empty tmpfs, and no other process.

This file is a script that imports `wire` and `syscalls`, beside it, and the stripped copy of the package.
"""

import ast
import base64
import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import random
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import traceback

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
import psutil
import syscalls
import torch
import wire
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import SList
from traitlets.config import Config

from pgcourse import checking
from pgcourse.judging import calling

USER, MOUNT, PID, NETWORK, IPC, UTS = 0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000
NOSUID, NODEV, BIND, RECURSIVE = 2, 4, 4096, 16384
SET_NO_NEW_PRIVS, CAPBSET_DROP = 38, 24
FETCHES = re.compile(
    r"\s*(sudo\s+)?(python[\d.]*\s+-m\s+)?(pip\d?|conda|mamba|micromamba|uv|apt|apt-get|brew|git|wget|curl|npm|kaggle|gdown)\b"
)  # a command, or a magic, that wants a network
OF_PYTHON = {"time", "timeit", "prun", "capture"}  # magics in which a mistake is the cell's
CROWD = 4  # threads and processes of a submission; more of them wait for others
DEFINITIONS = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
MAX_OUTPUTS = 100  # of a cell, besides its error
MAX_TRACE = 8000  # characters, the last ones
MAX_PROBLEM = 1000  # characters of a sentence about an answer

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def main():
    """argv: the control socket, and the settings as JSON."""
    control, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    for name in settings["modules"]:
        importlib.import_module(f"pgcourse.{name}")
    shell = warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for guards
    gc.collect()
    gc.freeze()
    control.send(b"ready")
    while True:
        message, pipes, *_ = socket.recv_fds(control, 1024, 3)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            guard(*pipes, json.loads(message), settings, shell)
        for pipe in pipes:
            os.close(pipe)


class Shell(InteractiveShell):
    """IPython, but for what has no meaning in here: that is a line in the output, and the cell goes on."""

    def enable_gui(self, gui=None):
        """There is none."""

    def system(self, command):
        print(self.getoutput(command, split=False), end="")

    system_piped = system_raw = system

    def getoutput(self, command, split=True, depth=0):
        if FETCHES.match(command):
            self.note(f"!{command}")
            return SList() if split else ""
        command = ["/bin/sh", "-c", self.var_expand(command)]
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        return SList(said.stdout.splitlines()) if split else said.stdout

    def run_line_magic(self, name, line, _stack_depth=1):
        run = super().run_line_magic
        return self._magic(f"%{name} {line}", name, lambda: run(name, line, _stack_depth + 3))

    def run_cell_magic(self, name, line, cell):
        if name in ("bash", "sh"):
            return self.system(cell)
        if self.find_cell_magic(name) is None:
            self.note(f"%%{name} {line}")
            return self.ex(self.transform_cell(cell))
        run = super().run_cell_magic
        return self._magic(f"%%{name} {line}", name, lambda: run(name, line, cell))

    def _magic(self, text, name, run):
        if name in OF_PYTHON:
            return run()
        try:
            if not FETCHES.match(name):
                return run()
        except Exception as error:
            text = f"{text} ({type(error).__name__}: {error})"
        return self.note(text)

    def note(self, text):
        print(f"[not run while this is graded: {text.strip()}]")


def warm_up():
    """Does once what is slow the first time, in one thread; returns the IPython shell."""
    torch.set_num_threads(1)
    weight = torch.ones(1, requires_grad=True)
    for optimizer in (torch.optim.SGD([weight], 0.1), torch.optim.Adam([weight], 0.1)):
        (weight**2).sum().backward()
        optimizer.step()
    torch.distributions.Categorical(logits=torch.zeros(2)).sample()
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    env.step(0)
    psutil.virtual_memory()
    plt.switch_backend("module://matplotlib_inline.backend_inline")
    settings = {"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}}
    shell = Shell.instance(config=Config(settings))
    shell.enable_matplotlib("inline")
    shell.run_cell("1 + 1", silent=True)
    shell.reset()
    return shell


# The guard


def guard(requests, replies, report, limits, settings, shell):
    """Runs one jail to its end, tells `report` how it ended, and exits."""
    outcome = {}
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        processes = os.open("/proc", os.O_RDONLY)
        size, baseline = memory_of("self", processes)
        if settings["namespaces"]:
            enter_namespaces(limits, settings["below_tmp"])
        child = os.fork()
        if child == 0:
            prefer_to_be_killed(processes)
            run(requests, replies, limits, size, shell)
        os.close(replies)
        most, before = limits["memory"] * 1.25, shared_memory(processes)

        def is_too_large():
            give_way(child, processes)
            more = shared_memory(processes) - before
            return used(child, processes, baseline) > most or (more > most and has_shared(child, processes))

        outcome = watch(child, requests, is_too_large)
    except BaseException as error:
        outcome = {"cause": "no jail", "error": repr(error)}
    finally:
        os.write(report, json.dumps(outcome).encode())
        os._exit(0)


def enter_namespaces(limits, below_tmp):
    """below_tmp: what stays in sight although a new tmpfs covers it."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", USER | MOUNT | PID | NETWORK | IPC | UTS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    size = f"size={limits['disk']},nr_inodes=4096,mode=0700"
    kept = [(path, os.path.islink(path) and os.readlink(path), os.open(path, os.O_PATH)) for path in below_tmp]
    call("mount", b"tmpfs", b"/tmp", b"tmpfs", NOSUID | NODEV, size.encode())
    for path, target, fd in kept:
        os.makedirs(
            path if not target and os.path.isdir(f"/proc/self/fd/{fd}") else os.path.dirname(path), exist_ok=True
        )
        if target:
            os.symlink(target, path)
        else:
            if not os.path.isdir(path):
                open(path, "x").close()
            call("mount", f"/proc/self/fd/{fd}".encode(), path.encode(), None, BIND | RECURSIVE, None)
        os.close(fd)
    call("mount", b"/jail/proc", b"/proc", None, BIND | RECURSIVE, None)  # a few harmless files, and no process
    socket.sethostname("jail")


def prefer_to_be_killed(processes):
    """So that a kernel out of memory does not take the warm process."""
    with open("self/oom_score_adj", "w", opener=lambda path, flags: os.open(path, flags, dir_fd=processes)) as file:
        file.write("1000")


def watch(child, requests, is_too_large):
    """Waits until the runner has ended, and ends it when the judge hangs up or the memory is used up."""
    process, cause = os.pidfd_open(child), None
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(requests, 0)  # of interest is only POLLHUP, which always comes
    while not cause and process not in (ready := dict(poll.poll(100))):
        cause = "hung up" if requests in ready else "out of memory" if is_too_large() else None
    if cause:
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # where there are no namespaces
    _, status, usage = os.wait4(child, 0)
    return {"cause": cause, "exit": os.waitstatus_to_exitcode(status), "cpu": usage.ru_utime + usage.ru_stime}


def used(child, processes, baseline):
    """Bytes of memory that the runner and its descendants hold beyond what they inherited, full sockets included."""
    sockets = re.search(r"^sockets: used (\d+)", read(f"{child}/net/sockstat", processes))
    held = int(sockets[1]) * int(read("sys/net/core/wmem_default", processes) or 2**18) if sockets else 0
    return held + sum(max(0, memory_of(pid, processes)[1] - baseline) for pid in descendants(child, processes))


def give_way(child, processes):
    """A crowd of threads and processes comes after everybody else's, or the neighbours' time would run out."""
    tasks = []
    for pid in descendants(child, processes):
        with contextlib.suppress(OSError):
            folder = os.open(f"{pid}/task", os.O_RDONLY, dir_fd=processes)
            tasks += map(int, os.listdir(folder))
            os.close(folder)
    for task in tasks if len(tasks) > CROWD else ():
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, task, 19)


def shared_memory(processes):
    """Bytes of it on the whole machine. What a process has let go of and not given back is nowhere else."""
    found = re.search(r"^Shmem:\s+(\d+) kB", read("meminfo", processes), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def has_shared(child, processes):
    """Whether the runner or a descendant has memory that forks share, or does not let us look."""
    maps = [read(f"{pid}/maps", processes) for pid in descendants(child, processes)]
    return any(re.search(r"/dev/zero|/memfd:|/SYSV", text) or not text for text in maps)


def descendants(child, processes):
    parents = {}
    for name in os.listdir(processes):
        if name.isdigit():
            fields = read(f"{name}/stat", processes).rpartition(")")[2].split()
            parents[int(name)] = int(fields[1]) if fields else 0
    family = {child}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def memory_of(pid, processes):
    """(address space, memory that is no file's, swapped out or not), in bytes."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", read(f"{pid}/status", processes), re.MULTILINE))
    size, *held = (int(sizes.get(name, 0)) * 1024 for name in ("VmSize", "RssAnon", "RssShmem", "VmSwap"))
    return size, sum(held)


def read(name, folder):
    try:
        with open(name, opener=lambda path, flags: os.open(path, flags, dir_fd=folder)) as file:
            return file.read()
    except OSError:
        return ""


# The runner


def run(requests, replies, limits, size, shell):
    """Gives up all that could reach further than the two pipes, and answers until they close."""
    confine(requests, replies, limits, size)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (a submission may use it)
    torch.manual_seed(0)
    record, whole = Record(shell, limits), code_of(calling)
    while message := wire.receive(3):
        header, blobs = message
        if header["do"] == "run":
            status = run_cell(shell, header["source"], header["seconds"])
            outputs, blobs = record.take()
            wire.send(4, wire.pack({"status": status, "outputs": outputs}, blobs))
        else:
            reply = answer(shell, header, wire.decode(header["inputs"], blobs), whole)
            record.take()
            wire.send(4, reply)
    os._exit(0)


def confine(requests, replies, limits, size):
    os.setsid()
    ends = fcntl.fcntl(requests, fcntl.F_DUPFD, 10), fcntl.fcntl(replies, fcntl.F_DUPFD, 10)
    null = os.open("/dev/null", os.O_RDWR)
    for target, source in enumerate((null, null, null, *ends)):
        os.dup2(source, target)
    os.closerange(5, 65536)
    os.makedirs(os.environ["HOME"], exist_ok=True)
    os.chdir(os.environ["HOME"])
    sys.path.append("")  # of files that a cell writes
    for name, most in (
        ("AS", size + limits["memory"]),
        ("CPU", limits["cpu"]),
        ("NPROC", limits["processes"]),
        ("FSIZE", limits["file"]),
        ("NOFILE", 256),
        ("CORE", 0),
        ("MEMLOCK", 0),
        ("MSGQUEUE", 0),
    ):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    for capability in range(64):
        libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the last one
    call("capset", struct.pack("Ii", 0x20080522, 0), bytes(24))
    call("prctl", SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    syscalls.forbid()


def run_cell(shell, source, seconds):
    """Runs a cell as Jupyter does; returns "passed", "raised" or "timed out"."""

    def stop(*_):
        raise calling.TimedOut(f"This cell took longer than {seconds:.3g} s and was stopped.")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        result = shell.run_cell(source, store_history=True)
        if result.error_in_exec is not None and not isinstance(result.error_in_exec, calling.TimedOut):
            define_the_rest(shell, source, result.error_in_exec)
    except calling.TimedOut:
        return "timed out"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    error = result.error_before_exec or result.error_in_exec
    return "passed" if error is None else "timed out" if isinstance(error, calling.TimedOut) else "raised"


def define_the_rest(shell, source, error):
    """What a cell defines below the line that it stopped at: elsewhere, with other packages or files, it went on."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_globals is shell.user_global_ns]
    body = ast.parse(shell.transform_cell(source)).body
    for statement in body if lines else ():
        if statement.lineno > lines[0] and isinstance(statement, DEFINITIONS):
            with contextlib.suppress(Exception, SystemExit):
                exec(compile(ast.Module([statement], []), "<cell>", "exec"), shell.user_ns)


def code_of(thing, depth=3):
    """All that a module is made of: other than before where somebody has put something of his own into it.

    A guard against the simple way only: nothing in this process is safe from who looks for it.
    """
    parts = thing if isinstance(thing, dict) else vars(thing)
    return {
        name: (id(part), getattr(part, "__code__", None), code_of(part, depth - 1) if is_ours(part) and depth else None)
        for name, part in parts.items()
        if str(name)[:2] != "__" or callable(part)
    }


def is_ours(part):
    return isinstance(part, dict) or (isinstance(part, type) and part.__module__ == calling.__name__)


def answer(shell, header, inputs, whole):
    """The message that says what the student's function gave. whole: `code_of` what calls it, from before."""
    try:
        name, attempt = header["name"], header["attempt"]
        found = (
            checking.CHECKED.get(name, [])[-attempt:]
            if attempt
            else [shell.user_ns[n] for n in [name] if n in shell.user_ns]
        )
        if len(found) < max(1, attempt):
            raise calling.Problem("not defined", "is not defined")
        function, how = found[0], (header["kind"], header["seconds"], header["references"])
        outputs = calling.watched_probe(function, inputs, *how)
        if code_of(calling) != whole:
            sentence = f"changed {calling.__name__}, by which it is called: leave the package as it is"
            raise calling.Problem("mutated", sentence, "mutated package")
        entries, blobs = wire.encode(outputs)
        return wire.pack({"values": entries}, blobs)
    except calling.Problem as problem:
        parts = problem.kind, problem.message, problem.key
        return wire.pack({"problem": [str(part)[:MAX_PROBLEM] for part in parts]})


class Record:
    """Collects what cells show, as text and PNG, up to a number of characters and of images."""

    def __init__(self, shell, limits):
        self.limits = limits
        self.take()
        sys.stdout, sys.stderr = Tape(self, "stdout"), Tape(self, "stderr")
        shell.display_pub = Publisher(self)
        shell.displayhook.write_output_prompt = lambda: None
        shell.displayhook.write_format_data = lambda data, metadata=None: self.show(data)
        shell._showtraceback = self.error

    def take(self):
        """(outputs, images) so far; then it is empty."""
        taken = getattr(self, "outputs", []), getattr(self, "images", [])
        self.outputs, self.images, self.left = [], [], self.limits["text"]
        return taken

    def add(self, output):
        if len(self.outputs) < MAX_OUTPUTS:
            self.outputs.append(output)

    def clip(self, text):
        kept, self.left = str(text)[: self.left], max(0, self.left - len(text))
        return kept + ("\n… (more was printed than is kept)" if len(kept) < len(text) and kept else "")

    def write(self, name, text):
        if not text:
            return
        if not self.outputs or self.outputs[-1].get("stream") != name:
            self.add({"stream": name, "text": ""})
        if self.outputs[-1].get("stream") == name:
            self.outputs[-1]["text"] += self.clip(text)

    def show(self, data):
        png = data.get("image/png", b"")
        png = base64.b64decode(png) if isinstance(png, str) else bytes(png)
        if png and len(png) <= self.limits["image"] and len(self.images) < self.limits["images"]:
            self.images.append(png)
            self.add({"png": len(self.images) - 1})
        elif data.get("text/plain"):
            self.add({"show": self.clip(data["text/plain"])})

    def error(self, kind, value, trace):
        lines = "\n".join(trace)
        self.outputs.append({"error": kind.__name__, "text": lines[-MAX_TRACE:]})


class Tape(io.TextIOBase):
    def __init__(self, record, name):
        self.record, self.name = record, name

    def writable(self):
        return True

    def write(self, text):
        self.record.write(self.name, text)
        return len(text)


class Publisher(DisplayPublisher):
    def __init__(self, record):
        super().__init__()
        self._record = record

    def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **_):
        self._record.show(data)

    def clear_output(self, wait=False):
        self._record.take()


if __name__ == "__main__":
    main()
