"""The command `pgcourse`. What a command needs is imported when it runs: `pgcourse --help` answers at once."""

import argparse
import shutil
import sys

import pgcourse

UNSAFE = """
  *** --unsafe-no-jail: every submission runs as you, and can read the answers, change the grades,
  *** and do with your files what you can. Use it only where all of them are yours.
"""
MAX_NAMED = 20  # of the files that nobody can use
UNUSABLE = 3  # the exit status where there are such: 1 is a failure, 2 a command that makes no sense


def main(argv=None):
    """Runs a command and returns its exit status; what the user can mend is a line on stderr and status 1."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a Windows console may not know ✓
    parser = _parser()
    options, others = parser.parse_known_args(argv)
    if others and options.run is not _lab:  # JupyterLab's own options go there as they are
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if others and options.folder and parser.parse_known_args(_until(others[0], argv))[0].folder is None:
        # Which options take a value only JupyterLab knows: `--ip 0.0.0.0` would make a copy in a folder 0.0.0.0.
        parser.error(f"{options.folder!r} follows {others[0]}: name your folder first, and write --option=value")
    try:
        return options.run(options, others)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"pgcourse: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"pgcourse: {error.name} is not installed: pip install 'pgcourse[lab]' has all", file=sys.stderr)
        return 1


def _until(word, argv):
    words = sys.argv[1:] if argv is None else argv
    return words[: words.index(word)]


def _parser():
    parser = argparse.ArgumentParser("pgcourse", description="A course on policy gradients.")
    parser.add_argument("--version", action="version", version=f"pgcourse {pgcourse.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_lab, _add_release, _add_grade, _add_doctor):
        add(commands)
    return parser


def _add_lab(commands):
    words = "open the lessons in JupyterLab, in a copy that is yours"
    command = commands.add_parser(
        "lab", help=words, description=words, epilog="Other options, as --option=value, go to jupyter lab."
    )
    command.add_argument("folder", nargs="?", help="your copy; made if need be (~/pgcourse-work, in a checkout work/)")
    command.add_argument("--update", action="store_true", help="renew the lessons that you have not changed")
    command.add_argument("--port", type=int, default=8888, help="JupyterLab's port (%(default)s)")
    command.set_defaults(run=_lab)


def _lab(options, others):
    from pgcourse.workspace import lab

    folder = lab.prepare(options.folder, options.update)
    return lab.open_in_jupyterlab(folder, options.port, others)


def _add_release(commands):
    words = "write the student edition, and the course folder it is graded in"
    command = commands.add_parser("release", help=words, description=words)
    command.add_argument("out", metavar="OUT", help="folder for the student edition, flat, and for nothing else")
    command.add_argument(
        "--course", metavar="DIR", help="the instructor's side: source, gradebook, nbgrader's settings"
    )
    command.add_argument("--update", action="store_true", help="renew what is unchanged in folders that are not empty")
    command.set_defaults(run=_release)


def _release(options, _):
    from pgcourse.publishing.release import release

    update = release(options.out, options.course, options.update)
    print("\n".join([f"The student edition is in {options.out}", *update.lines()]))
    if options.course:
        print(f"The course is in {options.course}: run nbgrader's commands and its Formgrader there")
    return 0


def _add_grade(commands):
    words = "grade a class: every submission in a jail, grades, feedback pages and a report out"
    command = commands.add_parser("grade", help=words, description=words)
    command.add_argument(
        "submissions",
        metavar="SUBMISSIONS",
        nargs="+",
        help="folder STUDENT/LESSON/LESSON.ipynb, or what a learning system gives, as a folder or a zip",
    )
    command.add_argument(
        "--from",
        metavar="SYSTEM",
        dest="system",
        help="the learning system that made it, as moodle, where its names do not say so; a wrong word lists all",
    )
    command.add_argument("--lesson", metavar="NAME", action="append", help="only this one (more than once: these)")
    command.add_argument("--out", metavar="DIR", required=True, help="folder for grades.csv, report.html, feedback/")
    command.add_argument(
        "--course", metavar="DIR", help="the instructor's folder (made in the --out folder if need be)"
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument("--workers", metavar="N", type=_count, help="processes on this machine (as many as cores)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask cluster instead, as tcp://10.0.0.1:8786")
    command.add_argument("--db", metavar="URL", help="another gradebook, as postgresql://… ($PGCOURSE_DB)")
    command.add_argument("--again", action="store_true", help="grade also what has been graded, with the same cases")
    command.add_argument("--export", action="store_true", help="write export/ for nbgrader, Canvas and Moodle")
    command.add_argument(
        "--unsafe-no-jail", action="store_true", help="run strangers' code with your rights, beside the answers"
    )
    command.set_defaults(run=_grade)


def _count(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of processes, expected 1 or more")
    return int(text)


def _grade(options, _):
    if sys.platform != "linux":
        raise OSError("grading needs Linux, for its jail: on Windows use WSL2, on a Mac a virtual machine")
    from pgcourse.grading import classroom
    from pgcourse.grading.systems import SYSTEMS

    if options.system not in (None, *SYSTEMS):
        raise ValueError(f"no system {options.system}, expected one of {', '.join(SYSTEMS)}")
    if options.unsafe_no_jail:
        print(UNSAFE, file=sys.stderr)
    outcome = classroom.grade_class(
        options.submissions,
        options.out,
        options.course,
        system=options.system,
        lessons=options.lesson or (),
        count=options.workers,
        scheduler=options.scheduler,
        db=options.db,
        unsafe=options.unsafe_no_jail,
        again=options.again,
        export=options.export,
    )
    print(outcome.sentence())
    if outcome.left_out:
        print(f"left out, of other lessons: {outcome.left_out}")
    print(f"{options.out}: grades.csv ({len(outcome.rows)} rows), report.html, feedback/, log.csv")
    moved = {place: f"{was:g} → {now:g} points, by another file" for place, (was, now) in outcome.fell.items()}
    kept = {place: f"the earlier one still counts, of the later {why}" for place, why in outcome.kept.items()}
    for what, places in (("unusable", outcome.unusable), ("fell", moved), ("kept", kept)):
        for (student, lesson), why in list(places.items())[:MAX_NAMED]:
            print(f"{what}: {student}{lesson and f', {lesson}'}: {why}", file=sys.stderr)
        if len(places) > MAX_NAMED:
            print(f"{what}: and {len(places) - MAX_NAMED} more, see grades.csv and log.csv", file=sys.stderr)
    failed = outcome.failed + len(outcome.not_entered)
    if failed:
        print(f"{failed} could not be graded, see the reasons in grades.csv; run the same again", file=sys.stderr)
    return 1 if failed else UNUSABLE if outcome.unusable else 0


def _add_doctor(commands):
    words = "say whether this machine will do, and what to do if not"
    command = commands.add_parser("doctor", help=words, description=words)
    command.set_defaults(run=_doctor)


def _doctor(*_):
    from pgcourse.workspace import doctor

    remedy = "on Linux, apt install bubblewrap and allow user namespaces; elsewhere grade in WSL2 or a virtual machine"
    return doctor.main([doctor.Check(_jail, remedy, "grading")])


def _jail():
    """A line about the jail; raises where none works."""
    if not shutil.which("bwrap"):  # before a jail is imported, which takes Linux and all that the lessons need
        raise OSError("no bubblewrap (bwrap)")
    try:
        from pgcourse.grading.jail.outside import JailUnavailable, WarmProcess
    except ImportError as error:
        raise OSError(f"no jail without {error.name}, which is said of above") from None
    try:
        WarmProcess().close()
    except JailUnavailable as error:
        raise OSError(f"bubblewrap does not work: {error.why}") from None
    return "bubblewrap, and a jail that submissions run in"
