"""The jail of one submission, from the outside: what it may use, how it is opened, asked and closed.

A `WarmProcess` is one bubblewrap with a warm process in it (see `inside`), from which each `Jail` is forked in some ten
milliseconds. What a jail sees: the system and this Python, read-only; the stripped package; an empty tmpfs for its
home and temporary files. No network, no other process, no capability, nobody's files: not this checkout, not the
course folder. Started by root, everything in it runs as `nobody`.

A jail is not trusted: whatever it says is read with a limit of bytes and of time, as numbers or text, and nothing else.
"""

import atexit
import contextlib
import json
import os
import re
import select
import shutil
import site
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pgcourse.files import parse_json
from pgcourse.grading.jail import stripped, wire
from pgcourse.grading.pictures import is_drawable, is_png
from pgcourse.judging import calling
from pgcourse.judging.statuses import PROBLEMS, Status

REMEDIES = """Remedies: install bubblewrap 0.5 or newer (Debian, Ubuntu: apt install bubblewrap). If it may not make a
namespace: on Ubuntu 24.04, sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; on an old Debian,
sysctl -w kernel.unprivileged_userns_clone=1; in a container, start that with --privileged, or grade outside of it.
Only if you trust every submission as you trust yourself: --unsafe-no-jail."""
WARM_SECONDS = 300  # until torch is imported, on a busy machine
GRACE_SECONDS = 2  # after its own alarm, a jail is killed
CLOSE_SECONDS = 10  # until the kernel has ended all processes of a jail
PASSWD = "root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/tmp/home:/bin/false\n"
INSIDE = ("inside.py", "syscalls.py", "wire.py")
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\S \n\t]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class JailUnavailable(RuntimeError):
    """Nothing can be graded here; str() says why, and what helps, `why` only why."""

    def __init__(self, why, remedies=""):
        super().__init__(f"{why}\n{remedies}".strip())
        self.why = why


class JailDied(Exception):
    """A jail ended before it had answered. kind: a `Status`; str() is a sentence's rest."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Limits:
    """What one submission may use."""

    cell_seconds: float = 20
    total_seconds: float = 120
    cpu: int = 130  # seconds of each process
    memory: int = 2**30  # bytes beyond what the warm process has
    processes: int = 32
    file: int = 2**25  # bytes of one file
    disk: int = 2**26  # bytes of all files
    text: int = 50_000  # characters that a cell may print and keep
    images: int = 8  # that a cell may show and keep
    image: int = 2**20  # bytes of one


class WarmProcess:
    """A warm process in bubblewrap; use it in a `with`, or close it. unsafe: no bubblewrap and no namespaces at all.

    Raises JailUnavailable unless a jail was opened in it, asked something, and closed.
    """

    def __init__(self, limits=None, unsafe=False):
        self.limits, self.unsafe, self.owner = limits or Limits(), unsafe, os.getpid()
        self._cleanup = contextlib.ExitStack()
        self.restart()

    def restart(self):
        """Begins anew, with another warm process."""
        self.close()
        try:
            self._start()
            with self._jail() as jail:
                jail.run("1 + 1", 10)
        except (OSError, JailDied, JailUnavailable) as error:
            said = self._said()
            self.close()
            raise JailUnavailable(f"No jail can be made on this machine: {error}. {said}".strip(), REMEDIES) from None

    def _start(self):
        files = {
            name: Path(__file__).with_name(name).read_text("utf-8") for name in INSIDE
        } | stripped.stripped_package()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._cleanup.callback(self._control.close)
        self._errors = self._cleanup.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        below = [path for path in _python_folders() if Path(path).is_relative_to("/tmp")]
        settings = json.dumps({"namespaces": not self.unsafe, "modules": stripped.modules(), "below_tmp": below})
        with contextlib.ExitStack() as fds:
            fds.callback(theirs.close)
            if self.unsafe:
                home = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="pgcourse-unsafe-"))
                command, handed = _write(files, home), []
            else:
                command, handed, home = *_bubblewrap(files, fds), "/tmp/home"
            script = f"{home if self.unsafe else '/jail'}/inside.py"
            self._process = subprocess.Popen(
                [*command, sys.executable, "-B", script, str(theirs.fileno()), settings],
                env=_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs.fileno(), *handed],
                cwd="/",
            )
        self._cleanup.callback(self._process.wait)
        self._cleanup.callback(self._process.kill)
        self._control.settimeout(WARM_SECONDS)
        if self._control.recv(16) != b"ready":
            raise OSError("the warm process did not start")

    def _said(self):
        """The end of what bubblewrap and the warm process wrote to stderr."""
        with contextlib.suppress(AttributeError, OSError):
            self._errors.seek(0)
            return self._errors.read()[-2000:].decode("utf-8", "replace").strip()
        return ""

    def jail(self):
        """Opens a Jail. Raises JailUnavailable if the warm process is gone."""
        try:
            return self._jail()
        except OSError as error:
            raise JailUnavailable(f"The warm process is gone ({error}). {self._said()}") from None

    def _jail(self):
        return Jail(self._control, self.limits, lost=self._process.kill)

    def close(self):
        if os.getpid() != self.owner:  # a fork of ours: the warm process is not its to end
            self._cleanup.pop_all()
        self._cleanup.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


_warm_processes = {}


def warm_process(limits=None, unsafe=False):
    """This process's own WarmProcess, started when it is first asked for, closed when the process ends.

    Raises JailUnavailable where there can be none.
    """
    key = (os.getpid(), limits, unsafe)
    if key not in _warm_processes:
        _warm_processes[key] = WarmProcess(limits, unsafe)
        atexit.register(_warm_processes[key].close)
    return _warm_processes[key]


def _write(files, folder):
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return []


def _environment(home):
    """Nothing of ours: a token in it would be the submission's to read."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
    return threads | {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": "/tmp",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "IPYTHONDIR": "/tmp/ipython",
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SDL_VIDEODRIVER": "dummy",
    }


def _bubblewrap(files, fds):
    """bubblewrap's command line, and the descriptors that it reads the staged files from."""
    program = shutil.which("bwrap")
    if program is None:
        raise OSError("bubblewrap is not installed")
    isolation = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    isolation += ["--new-session", "--cap-drop", "ALL"]
    as_nobody = []
    if os.getuid() == 0:  # real mounts, from folders that only root can enter; then nobody
        isolation += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    else:
        isolation += ["--unshare-user"]
    folders = _python_folders()
    view = ["--perms", "1777", "--tmpfs", "/tmp"]  # first, because this Python may be below it
    for path in _parents([*_system(), *folders, *(f"/jail/{name}" for name in files), "/jail/proc/x", "/dev/x"]):
        view += ["--perms", "0755", "--dir", path]
    for path in _system():
        view += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind", path, path]
    for path in folders:
        view += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind", path, path]
    for package in _packages():
        if any(Path(package).is_relative_to(path) for path in ["/usr", *folders]):
            view += ["--tmpfs", package, "--remount-ro", package]  # the whole one, with its answers
    view += ["--proc", "/proc"]
    for name in ("null", "zero", "full", "random", "urandom"):
        view += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name in ("cpuinfo", "meminfo", "stat", "uptime", "loadavg"):
        view += ["--ro-bind", f"/proc/{name}", f"/jail/proc/{name}"]
    files = {f"/jail/{name}": text for name, text in files.items()} | {"/etc/passwd": PASSWD}
    handed = []
    for name, text in files.items():
        handed.append(os.memfd_create(name))
        fds.callback(os.close, handed[-1])
        os.write(handed[-1], text.encode())
        os.lseek(handed[-1], 0, os.SEEK_SET)
        view += ["--perms", "0644", "--file", str(handed[-1]), name]
    return [program, *isolation, *view, "--remount-ro", "/", "--chdir", "/", "--", *as_nobody], handed


def _parents(paths):
    """The folders above, outermost first; bubblewrap would make them for root alone."""
    return sorted({str(parent) for path in paths for parent in Path(path).parents} - {"/"})


def _system():
    paths = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/nix/store", "/sys/devices/system/cpu"]
    paths += [f"/etc/{name}" for name in ("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d")]
    return [path for path in [*paths, "/etc/localtime"] if os.path.lexists(path)]


def _python_folders():
    """Where this interpreter and what it imports are, outside of /usr; never a whole home."""
    parts = [
        Path(prefix, part) for prefix in (sys.prefix, sys.base_prefix) for part in ("bin", "lib", "lib64", "pyvenv.cfg")
    ]
    parts += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    parts += [Path(sys.executable).parent, Path(os.path.realpath(sys.executable)).parent]
    parts += [Path(os.path.realpath(path)) for path in parts]
    outside = dict.fromkeys(path for path in parts if path.exists() and not path.is_relative_to("/usr"))
    return [str(path) for path in outside if not any(path != o and path.is_relative_to(o) for o in outside)]


def _packages():
    """Every place where this package is installed, or leaves its notebooks: an editable install has two."""
    places = [Path(__file__).parents[3], *map(Path, sys.path), *map(Path, site.getsitepackages())]
    found = {os.path.realpath(place / "pgcourse") for place in places if (place / "pgcourse").is_dir()}
    return sorted(found)


class Jail:
    """One submission's processes; use it in a `with`, or close it. Every method raises JailDied if it cannot answer.

    lost: what ends the warm process and all in it, called where nobody says that the jail has ended.
    """

    def __init__(self, control, limits, lost):
        self.limits, self.end, self.cpu, self._lost = limits, None, 0, lost
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        self._report, report = os.pipe()
        os.set_blocking(self._requests, False)
        try:
            socket.send_fds(control, [json.dumps(asdict(limits)).encode()], [requests, replies, report])
        except OSError:
            self.close()
            raise
        finally:
            for fd in (requests, replies, report):
                os.close(fd)

    def run(self, source, seconds=None):
        """Runs a cell under IPython; returns its status ("passed", "raised", "timed out") and what it showed.

        Shown are {"stream", "text"}, {"show"}, {"error", "text"} and {"png"}, in order; a png comes as bytes.
        """
        seconds = self.limits.cell_seconds if seconds is None else seconds
        header, blobs = self._ask({"do": "run", "source": source, "seconds": seconds}, (), seconds)
        status, outputs = header.get("status"), header.get("outputs")
        if status not in (Status.PASSED, Status.RAISED, Status.TIMED_OUT) or not isinstance(outputs, list):
            raise self._break("its answer to a cell made no sense")
        return Status(status), [clean for output in outputs[:200] if (clean := _output(output, blobs, self.limits))]

    def call(self, name, inputs, kind, seconds, references=(), attempt=0):
        """What `calling.watched_probe` gave for the function of that name: named arrays, or a Problem (not raised).

        attempt: for what was checked as it instead, 1 the last, 2 the last but one.
        """
        entries, blobs = wire.encode(inputs)
        request = {"do": "call", "name": name, "kind": kind, "inputs": entries, "seconds": seconds}
        request |= {"references": [*references], "attempt": attempt}
        header, blobs = self._ask(request, blobs, seconds)
        try:
            if "problem" in header:
                return _problem(header["problem"])
            values = wire.decode(header.get("values"), blobs)
            if all(isinstance(value, np.ndarray) for value in values.values()):
                return values
        except wire.Garbled:
            pass
        raise self._break("its answer to a call made no sense")

    def _ask(self, header, blobs, seconds):
        deadline = time.monotonic() + seconds + GRACE_SECONDS
        if self.end:
            raise self.end
        try:
            wire.send(self._requests, wire.pack(header, blobs), deadline)
            reply = wire.receive(self._replies, deadline)
        except TimeoutError:
            raise self._break(f"took longer than {seconds:g} s and was stopped", Status.TIMED_OUT) from None
        except wire.Garbled as error:
            raise self._break(f"its answer made no sense ({error})") from None
        except BrokenPipeError:
            reply = None
        if reply is None:
            raise self._break("ended the process that it ran in")
        return reply

    def _break(self, message, kind=Status.DIED):
        """Closes the jail, for good; returns the JailDied that says why, or a JailUnavailable if nothing does."""
        report = self.close()
        if "cpu" not in report:
            return JailUnavailable(f"A jail could not be made, or was lost: {report.get('error', 'no guard')}")
        if report.get("cause") == "out of memory":
            kind, message = Status.OUT_OF_MEMORY, "used up the memory"
        self.end = JailDied(kind, message)
        return self.end

    def close(self):
        """Hangs up, so that the guard ends all processes, and returns its report."""
        for name in ("_requests", "_replies"):
            if name in self.__dict__:
                os.close(self.__dict__.pop(name))
        report, said = self.__dict__.pop("_report", None), b""
        if report is not None:
            poll = select.poll()
            poll.register(report, select.POLLIN)
            if poll.poll(CLOSE_SECONDS * 1000):
                said = os.read(report, 65536)
            os.close(report)
            if not said:  # no guard is left, or one that hangs: who else would end what it guarded?
                self._lost()
        ending = parse_json(said.partition(b"\n")[0])
        if not isinstance(ending, dict) or not isinstance(ending.get("cpu", 0), int | float):
            return {}
        self.cpu += ending.get("cpu", 0)
        return ending

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# What a jail says, made harmless


def _problem(parts):
    """The Problem of three strings; whatever else it is, it is a failure."""
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str | None) for part in parts):
        raise wire.Garbled("no problem")
    kind, message, key = (None if part is None else _text(part, calling.MAX_TEXT * 2) for part in parts)
    if kind not in PROBLEMS or not message:
        raise wire.Garbled("no problem")
    is_memory = kind == Status.RAISED and re.match(r"MemoryError|RuntimeError: .*can.t allocate memory", key or "")
    return calling.Problem(Status.OUT_OF_MEMORY if is_memory else Status(kind), message, key)


def _output(output, blobs, limits):
    """A text or a PNG of a cell, or None for what is neither."""
    if not isinstance(output, dict):
        return None
    clean = {name: _text(text, limits.text + 100) for name, text in output.items() if isinstance(text, str)}
    if clean.get("stream") in ("stdout", "stderr") and "text" in clean:
        return {"stream": clean["stream"], "text": clean["text"]}
    if "show" in clean:
        return {"show": clean["show"]}
    if "error" in clean and "text" in clean:
        return {"error": clean["error"][:100], "text": clean["text"]}
    number = output.get("png")
    if type(number) is int and 0 <= number < min(len(blobs), limits.images):
        blob = blobs[number]
        return {"png": blob} if len(blob) <= limits.image and is_png(blob) and is_drawable(blob) else None
    return None


def _text(text, most):
    """Without escape sequences, control characters and halves of characters, which files and databases refuse."""
    return _UNPRINTABLE.sub("", text[:most]).encode("utf-8", "replace").decode()
