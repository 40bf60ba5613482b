"""Line-ups: wrong functions out of a catalogue, and right ones in other styles among them, to be told apart.

A learner's answer is `convict(ask)`. One call of ask puts one question to all suspects of a line-up and gives what each
of them says; the answer is who is guilty. In a check ask is a stand-in (`calling.KINDS`), and no suspect is where the
answer is: first comes out what it asks, as arrays; the suspects are called here; then it is called again and told.

A draw shuffles the catalogue and deals out *all* of it. So a question that lets one get away does so in every draw, and
a procedure that passes in a notebook passes in the grader, where others stand in the same places. What somebody has
written down beforehand, who was guilty in his draw or in a friend's, convicts the wrong ones in the next. (A procedure
can be copied, as any function can.)
"""

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcourse.exercises import Misconception, Trial
from pgcourse.exercises.cases import case
from pgcourse.judging.calling import Problem
from pgcourse.judging.statuses import Status

SIZE = 6  # suspects of a line-up
LINE_UPS = 5
GUILTY = 2, 4  # of a line-up, so that nobody can count
LETTERS = "ABCDEF"


@dataclass(frozen=True)
class Catalogue:
    """Whom a line-up is drawn from, and how they are asked.

    wrong, right  functions
    names         of the arrays that make a question
    read          these arrays → a question, as floats; raises a Problem that says what is not allowed
    say           (suspect, *question) → its array
    """

    wrong: tuple[Callable, ...]
    right: tuple[Callable, ...]
    names: tuple[str, ...]
    read: Callable
    say: Callable

    def deal(self, seed):
        """[(suspects, guilty (SIZE,) of bool)] of all line-ups of a draw."""
        rng = np.random.default_rng(seed)
        counts = np.full(LINE_UPS, GUILTY[0])
        while counts.sum() < len(self.wrong):
            counts[rng.choice(np.flatnonzero(counts < GUILTY[1]))] += 1
        groups, dealt = np.split(rng.permutation(len(self.wrong)), counts.cumsum()[:-1]), []
        others = itertools.chain.from_iterable(rng.permutation(len(self.right)) for _ in itertools.count())
        for group in groups:
            suspects = [self.wrong[k] for k in group] + [
                self.right[k] for k in itertools.islice(others, SIZE - len(group))
            ]
            order = rng.permutation(SIZE)
            dealt.append(([suspects[k] for k in order], order < len(group)))
        return dealt

    def answers(self, suspects, question):
        """What each suspect says, (SIZE, …), to a question that was read."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.stack([self.say(suspect, *(part.copy() for part in question)) for suspect in suspects])


def whole_numbers(name, array, ndim, largest):
    """The array as floats; a Problem unless it has that many axes, and whole numbers of that size at most."""
    if array.ndim != ndim or not array.size:
        problem = Status.SHAPE, f"asked with {name} of shape {array.shape}, expected {ndim} axes, none of them empty"
    elif not np.isin(array, np.arange(-largest, largest + 1)).all():
        problem = Status.NOT_NUMBERS, f"asked with {name} that the suspects do not take: whole numbers up to ±{largest}"
    else:
        return array.astype(np.float64)
    raise Problem(*problem, TOO_MUCH)


TOO_MUCH = "a question that the suspects do not take"


@dataclass(frozen=True)
class Sign:
    """A misconception and how it shows: shows(outcome), true of every line-up whose verdict is wrong."""

    misconception: Misconception
    shows: Callable


def spares_only_guilty(outcome):
    """Whether no innocent is convicted."""
    return not (outcome["verdict"] & ~outcome["guilty"]).any()


def convicts_only_innocent(outcome):
    """Whether every verdict that is wrong convicts somebody."""
    return not (~outcome["verdict"] & outcome["guilty"]).any()


def never(outcome):
    """For a mistake that raises a Problem of its name."""
    return False


def common_signs(convict):
    """Those of verdicts that have little to do with the question. convict: a right answer."""

    def asks_twice(ask):
        verdict = convict(ask)
        return verdict | convict(ask)

    return (
        Sign(
            Misconception(
                "a verdict without a question",
                "Who is guilty stands there before anybody was asked. The suspects change from draw to draw, and so "
                "do their places: let what they *say* decide.",
                lambda ask: [True, False, False, True, False, True],
            ),
            lambda outcome: "answers" not in outcome,
        ),
        Sign(
            Misconception(
                "guilty and innocent swapped",
                "Every verdict is turned round. True stands for guilty.",
                lambda ask: ~convict(ask),
            ),
            lambda outcome: (outcome["verdict"] != outcome["guilty"]).all(),
        ),
        Sign(
            Misconception(
                "one verdict for all",
                "The suspects are judged together. Each of the six gets a verdict of its own: over which axes do `all` "
                "and `any` run?",
                lambda ask: convict(ask).any(),
            ),
            never,
        ),
        Sign(
            Misconception(
                "a second question",
                "The suspects answer one question. All six hear it at once, so a single call of `ask` is enough: can "
                "one question do the work of both?",
                asks_twice,
            ),
            never,
        ),
    )


def cases(seed):
    draw = int(np.random.default_rng(seed).integers(2**31))
    return [case(draw=draw, line_up=number) for number in range(1, LINE_UPS + 1)]


def oracle(catalogue):
    return lambda draw, line_up: {"verdict": catalogue.deal(draw)[line_up - 1][1]}


def line_up(catalogue):
    """(seed, number) → ask(*question) of one line-up of that draw, for somebody to try a question."""

    def chosen(seed, number=1):
        suspects, _ = catalogue.deal(cases(seed)[number - 1]["draw"])[number - 1]

        def ask(*question):
            try:
                return catalogue.answers(suspects, catalogue.read(*map(np.asarray, question)))
            except Problem as problem:
                raise ValueError(problem.message) from None

        return ask

    return chosen


def trial(catalogue, signs, is_right=None):
    """The Trial of line-ups. is_right: (answers, *question) → (SIZE,) of bool, whether an innocent would say that."""

    def play(call, inputs):
        suspects, guilty = catalogue.deal(inputs["draw"])[inputs["line_up"] - 1]
        outcome, evidence = call({"suspects": SIZE}), {}
        if "verdict" not in outcome:
            question = catalogue.read(*outcome.values())
            evidence = dict(zip(catalogue.names, question, strict=True))
            evidence["answers"] = catalogue.answers(suspects, question)
            outcome = call({"answers": evidence["answers"], **{n: outcome[n] for n in outcome}})
        return {"guilty": guilty, "verdict": _verdict(outcome["verdict"]), **evidence}

    def assess(outcomes):
        wrong = [(k, o) for k, o in enumerate(outcomes, 1) if (o["verdict"] != o["guilty"]).any()]
        if not wrong:
            convicted = sum(o["guilty"].sum() for o in outcomes)
            total = SIZE * len(outcomes)
            return f"{convicted} convicted and {total - convicted} acquitted, all of them rightly", 0, (), ""
        number, outcome = wrong[0]
        symptom = next((s.misconception.name for s in signs if all(s.shows(o) for _, o in wrong)), "")
        return *told(outcome, number), symptom

    def told(outcome, number):
        suspect = int(np.flatnonzero(outcome["verdict"] != outcome["guilty"])[0])
        letter, guilty = f"suspect {LETTERS[suspect]}", outcome["guilty"][suspect]
        rows = [("verdict", letter, "acquitted" if guilty else "convicted")]
        sentence = f"{'acquits' if guilty else 'convicts'} {letter}, who is {'guilty' if guilty else 'innocent'}"
        if "answers" in outcome:
            question = [outcome[name] for name in catalogue.names]
            rows = [("question", name, _show(outcome[name])) for name in catalogue.names] + rows
            rows.append(("answer", letter, _show(outcome["answers"][suspect])))
            if guilty and is_right and is_right(outcome["answers"], *question)[suspect]:
                sentence += ": the answer to your question is what an innocent would give"
        else:
            sentence += ", without a question"
        return sentence, number, tuple(rows)

    return Trial(play, assess)


def _verdict(array):
    if array.shape != (SIZE,):
        got = f"an array of shape {array.shape}" if array.ndim else "a single number, shape (),"
        raise Problem(
            Status.SHAPE, f"returned {got} expected ({SIZE},): True or False for each suspect", "one verdict for all"
        )
    if not np.isin(array, (0, 1)).all():
        raise Problem(Status.NOT_NUMBERS, "returned other numbers, expected True (guilty) or False")
    return array.astype(bool)


def _show(array):
    return np.array2string(array + 0.0, precision=6, max_line_width=72, threshold=60)
