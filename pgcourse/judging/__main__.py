"""`python -m pgcourse.judging [NAME …]`: how many known mistakes of each exercise are told apart, and which are not."""

import sys

from pgcourse.exercises import EXERCISES
from pgcourse.judging.statuses import Status
from pgcourse.judging.verdicts import verdict_on

SEEDS = (0, 20_251)  # what is told apart on one set of cases should be on another


def problems(exercise):
    """({misconception: what it is taken for}, {number of an alternative: why it fails}), where that should not be."""
    mistaken, failing = {}, {}
    for seed in SEEDS:
        for misconception in exercise.misconceptions:
            verdict = verdict_on(exercise, misconception.wrong, seed)
            if verdict.misconception is not misconception:
                found = verdict.misconception.name if verdict.misconception else verdict.hint or verdict.sentence
                mistaken[misconception.name] = found
        for number, answer in enumerate(exercise.accepts, 1):
            verdict = verdict_on(exercise, answer, seed)
            if verdict.status != Status.PASSED:
                failing[number] = verdict.sentence
    return mistaken, failing


def matrix(exercises):
    """Text: for each exercise the misconceptions that fail with their own hint, and the alternatives that pass."""
    lines = [f"{'exercise':32}{'misconceptions':>16}{'alternatives':>14}"]
    for exercise in exercises:
        mistaken, failing = problems(exercise)
        counts = [
            f"{len(all_of) - len(wrong)}/{len(all_of)}"
            for all_of, wrong in ((exercise.misconceptions, mistaken), (exercise.accepts, failing))
        ]
        lines.append(f"{exercise.name:32}{counts[0]:>16}{counts[1]:>14}")
        lines += [f"  not told apart: {name} ({found})" for name, found in mistaken.items()]
        lines += [f"  right answer {number} fails: {why}" for number, why in failing.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(matrix([EXERCISES[name] for name in sys.argv[1:] or EXERCISES]))
