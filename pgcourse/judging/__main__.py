"""`python -m pgcourse.judging [NAME …]` prints, for each exercise, how many known mistakes are recognised."""

import sys

from pgcourse.exercises import EXERCISES
from pgcourse.judging.verdicts import verdict_on


def matrix(exercises, seed=0):
    """Text: for each exercise the misconceptions that fail with their own hint, and the alternatives that pass."""
    lines = [f"{'exercise':32}{'misconceptions':>16}{'alternatives':>14}"]
    for exercise in exercises:
        own = [m for m in exercise.misconceptions if verdict_on(exercise, m.wrong, seed).misconception is m]
        passed = [a for a in exercise.accepts if verdict_on(exercise, a, seed).status == "passed"]
        killed = f"{len(own)}/{len(exercise.misconceptions)}"
        lines.append(f"{exercise.name:32}{killed:>16}{f'{len(passed)}/{len(exercise.accepts)}':>14}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(matrix([EXERCISES[name] for name in sys.argv[1:] or EXERCISES]))
