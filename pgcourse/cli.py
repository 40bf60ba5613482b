"""The command `pgcourse`. What a command needs is imported when it runs: `pgcourse --help` answers at once."""

import argparse
import sys

import pgcourse


def main(argv=None):
    """Runs a command and returns its exit status; what the user can mend is a line on stderr and status 1."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a Windows console may not know ✓
    parser = _parser()
    options, others = parser.parse_known_args(argv)
    if others and options.run is not _lab:  # JupyterLab's own options go there as they are
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    try:
        return options.run(options, others)
    except (ValueError, OSError) as error:
        print(f"pgcourse: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"pgcourse: {error.name} is not installed: pip install 'pgcourse[lab]' has all", file=sys.stderr)
        return 1


def _parser():
    parser = argparse.ArgumentParser("pgcourse", description="A course on policy gradients.")
    parser.add_argument("--version", action="version", version=f"pgcourse {pgcourse.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_lab, _add_release, _add_doctor):
        add(commands)
    return parser


def _add_lab(commands):
    words = "open the lessons in JupyterLab, in a copy that is yours"
    command = commands.add_parser("lab", help=words, description=words, epilog="Other options go to jupyter lab.")
    command.add_argument("folder", nargs="?", help="your copy; made if need be (~/pgcourse-work, in a checkout work/)")
    command.add_argument("--update", action="store_true", help="renew the lessons that you have not changed")
    command.add_argument("--port", type=int, default=8888, help="JupyterLab's port (%(default)s)")
    command.set_defaults(run=_lab)


def _lab(options, others):
    from pgcourse import lab

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
    from pgcourse.grading.release import release

    update = release(options.out, options.course, options.update)
    print("\n".join([f"The student edition is in {options.out}", *update.lines()]))
    if options.course:
        print(f"The course is in {options.course}: run nbgrader's commands and its Formgrader there")
    return 0


def _add_doctor(commands):
    words = "say whether this machine will do, and what to do if not"
    command = commands.add_parser("doctor", help=words, description=words)
    command.set_defaults(run=_doctor)


def _doctor(*_):
    from pgcourse import doctor

    return doctor.main()
