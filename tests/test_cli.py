"""The command: what it says, its exit status, and that it answers without loading torch."""

import os
import subprocess
import sys

import pytest

import pgcourse
from pgcourse import cli
from pgcourse.workspace import doctor


def test_help_loads_nothing_heavy():
    code = "import sys\nfrom pgcourse import cli\ntry: cli.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(command in run.stdout for command in ("lab", "release", "doctor"))
    assert not {"torch", "nbformat", "nbgrader", "jupyterlab", "matplotlib"} & set(run.stdout.split())


def test_the_command_is_installed_and_runs_as_a_module():
    for command in ([f"{os.path.dirname(sys.executable)}/pgcourse"], [sys.executable, "-m", "pgcourse"]):
        run = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert run.stdout == f"pgcourse {pgcourse.__version__}\n"


def test_what_a_user_can_mend_is_one_line_and_status_1(tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert cli.main(["release", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"pgcourse: {tmp_path} is not empty: add --update to renew what is unchanged in it, or name another folder\n"
    )


def test_release_says_what_it_did(tmp_path, capsys):
    assert cli.main(["release", str(tmp_path / "edition")]) == 0
    assert capsys.readouterr().out.startswith(
        f"The student edition is in {tmp_path / 'edition'}\nAdded: README.md, 00_"
    )
    assert cli.main(["release", str(tmp_path / "edition"), "--update"]) == 0
    assert "All lessons are up to date" in capsys.readouterr().out


def test_lab_hands_jupyterlabs_options_on(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("pgcourse.workspace.lab.prepare", lambda folder, update: (folder, update))
    monkeypatch.setattr("pgcourse.workspace.lab.open_in_jupyterlab", lambda *arguments: opened.append(arguments) or 0)
    assert cli.main(["lab", "mine", "--port", "9000", "--no-browser", "--update"]) == 0
    assert cli.main(["lab"]) == 0
    assert opened == [(("mine", True), 9000, ["--no-browser"]), ((None, False), 8888, [])]


@pytest.mark.parametrize("words", [["--ip", "0.0.0.0"], ["--no-browser", "mine"]])
def test_lab_takes_no_value_of_jupyterlabs_options_for_a_folder(monkeypatch, capsys, words):
    monkeypatch.setattr("pgcourse.workspace.lab.prepare", lambda *_: pytest.fail("made a copy"))
    with pytest.raises(SystemExit):
        cli.main(["lab", "--port=9000", *words])
    assert f"{words[1]!r} follows {words[0]}: name your folder first" in capsys.readouterr().err


def test_other_commands_refuse_unknown_options(capsys):
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--wat"])
    assert "unrecognized arguments: --wat" in capsys.readouterr().err


def test_a_missing_extra_is_named(monkeypatch, capsys):
    def missing(_):
        raise ModuleNotFoundError("No module named 'nbgrader'", name="nbgrader")

    monkeypatch.setattr("pgcourse.workspace.lab.prepare", lambda *_: missing(_))
    assert cli.main(["lab"]) == 1
    assert capsys.readouterr().err == "pgcourse: nbgrader is not installed: pip install 'pgcourse[lab]' has all\n"


# doctor


def broken():
    raise OSError("c10.dll was not found")


FINE = doctor.Check(lambda: "Python 3.11", "-")


def test_doctor_finds_this_machine_fit(capsys):
    assert doctor.main() == 0
    out = capsys.readouterr().out
    assert all(f"✓ {name} " in out for name in ("Python", "torch", "Gymnasium", "matplotlib", "JupyterLab"))
    assert len(out.splitlines()) == len(doctor.CHECKS) + 2


@pytest.mark.parametrize(
    ("needed_for", "line", "status"),
    [
        ("", "✗ c10.dll was not found: install it", 1),
        ("grading", "○ c10.dll was not found (needed only for grading): install it", 0),
    ],
)
def test_doctor_says_what_to_do(monkeypatch, capsys, needed_for, line, status):
    monkeypatch.setattr(doctor, "CHECKS", (FINE, doctor.Check(broken, "install it", needed_for)))
    assert doctor.main() == status
    assert capsys.readouterr().out.splitlines()[:2] == ["✓ Python 3.11", line]


@pytest.mark.parametrize(("found", "fine"), [("2.6.0+cpu", True), ("2.13.0", True), ("3.0rc1", True), ("2.5.9", False)])
def test_versions_are_compared_as_numbers(found, fine):
    if fine:
        assert doctor._at_least("torch", found, "2.6") == f"torch {found}"
    else:
        with pytest.raises(ValueError, match=r"torch 2\.5\.9, expected 2\.6 or newer"):
            doctor._at_least("torch", found, "2.6")


def test_doctor_itself_needs_nothing():
    hide = "import sys\nfor name in ('gymnasium', 'torch', 'psutil', 'ipywidgets'): sys.modules[name] = None\n"
    code = hide + "from pgcourse import cli\nsys.exit(cli.main(['doctor']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (1, "")
    assert sum(line.startswith("✗") and "make clean lab" in line for line in run.stdout.splitlines()) == 4


def test_little_memory_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "MEMORY", 1e15)
    with pytest.raises(ValueError, match="MB of memory free, expected 1000000000"):
        doctor._memory()


def test_a_jail_that_does_not_work_is_told(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", (FINE,))
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/bwrap")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: broken())
    assert cli.main(["doctor"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("○ bubblewrap does not work: No jail can be made on this machine: c10.dll was not found")
    assert "(needed only for grading): on Linux, apt install bubblewrap" in line
    monkeypatch.setattr("shutil.which", lambda _: None)
    cli.main(["doctor"])
    assert "○ no bubblewrap (bwrap)" in capsys.readouterr().out
