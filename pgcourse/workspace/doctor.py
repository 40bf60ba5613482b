"""Whether this machine will do for the course: one line for each thing, and what to do where it will not."""

import importlib
import os
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

MEMORY = 600e6  # bytes: a kernel that has run any lesson holds less


@dataclass(frozen=True)
class Check:
    """look() says what is there, or raises; the remedy is for somebody to whom it is not there.

    needed_for   "" where no lesson works without it, else who needs it
    """

    look: Callable[[], str]
    remedy: str
    needed_for: str = ""


def examine(checks):
    """For each check: whether it is fine, whether a learner can do without, and its line."""
    for check in checks:
        try:
            yield True, True, f"✓ {check.look()}"
        except Exception as error:  # whatever a broken installation raises
            problem = str(error) or type(error).__name__
            whose = f" (needed only for {check.needed_for})" if check.needed_for else ""
            yield False, bool(check.needed_for), f"{'○' if check.needed_for else '✗'} {problem}{whose}: {check.remedy}"


def main(more=()):
    """Prints a line for each of CHECKS, and for more of them; returns 0 if a learner can work here, else 1."""
    able = True
    for _, spare, line in examine([*CHECKS, *more]):
        print(line, flush=True)
        able &= spare
    print("\nYou can work here: pgcourse lab opens the course." if able else "\nMend what has an ✗, then try again.")
    return 0 if able else 1


def _python():
    found = ".".join(map(str, sys.version_info[:3]))
    return _at_least("Python", found, "3.11")


def _at_least(name, found, least):
    if _numbers(found) < _numbers(least):
        raise ValueError(f"{name} {found}, expected {least} or newer")
    return f"{name} {found}"


def _numbers(version):
    parts = version.split("+")[0].split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


def _torch():
    torch = importlib.import_module("torch")
    torch.ones(2, requires_grad=True).sum().backward()
    return f"{_at_least('torch', torch.__version__, '2.6')}, threads: {torch.get_num_threads()} of {os.cpu_count()}"


def _gymnasium():
    gymnasium = importlib.import_module("gymnasium")
    environment = gymnasium.make("CartPole-v1")
    environment.reset(seed=0)
    environment.step(0)
    return f"{_at_least('Gymnasium', gymnasium.__version__, '1.1')}, with a pole to balance"


def _pictures():
    importlib.import_module("matplotlib.pyplot")
    importlib.import_module("ipywidgets")
    return f"matplotlib {metadata.version('matplotlib')}, ipywidgets {metadata.version('ipywidgets')}"


def _jupyterlab():
    return f"{_at_least('JupyterLab', metadata.version('jupyterlab'), '4.4')}, nbgrader {metadata.version('nbgrader')}"


def _memory():
    free = importlib.import_module("psutil").virtual_memory().available
    if free < MEMORY:
        raise ValueError(f"{free / 1e6:.0f} MB of memory free, expected {MEMORY / 1e6:.0f}")
    return f"{free / 1e9:.1f} GB of memory free"


def _browser():
    try:
        webbrowser.get()
    except webbrowser.Error:
        raise ValueError("no browser on this machine") from None
    return "a browser"


AGAIN = "make clean lab, or pip install 'pgcourse[lab]'"
CHECKS = (
    Check(_python, "make lab PYTHON=python3.11 sets up another"),
    Check(_torch, "make clean lab, or pip install 'torch>=2.6,<3'; on Windows also Microsoft's Visual C++ runtime"),
    Check(_gymnasium, "make clean lab, or pip install 'gymnasium[classic-control]>=1.1,<2'"),
    Check(_pictures, AGAIN),
    Check(_jupyterlab, AGAIN),
    Check(_memory, "close other programs and kernels; or, if psutil is what is missing, " + AGAIN),
    Check(_browser, "open the address that pgcourse lab prints in a browser elsewhere", "opening the page by itself"),
)
