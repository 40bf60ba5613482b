import itertools

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception, line_ups
from pgcourse.exercises.lesson_7 import batch_mean_advantages, leave_one_out_advantages
from pgcourse.exercises.line_ups import Sign
from pgcourse.judging.calling import Problem
from pgcourse.judging.statuses import Status

# acquit_or_convict: advantages of a batch, of which some bias the gradient and some do not, whatever else they are

ALSO = {
    "divided by the standard deviation, with care",
    "median subtracted",
    "largest return subtracted",
    "mean of those so far",
    "nothing subtracted",
}
CLOSE = 1e-9
LARGEST, MOST_BATCHES, SIZES = 9, 100, (2, 3, 4)
WORLDS = (([0.2, 0.5, 0.3], [3.0, -1.0, 2.0]), ([0.7, 0.3], [1.0, -2.0]), ([0.1, 0.6, 0.3], [-3.0, 1.0, 0.0]))


def _read(*question):
    if len(question) != 1:
        message = f"asked with {len(question)} arrays, expected one: returns (M, N), M batches of N"
        raise Problem(Status.SHAPE, message, line_ups.TOO_MUCH)
    returns = line_ups.whole_numbers("returns", question[0], 2, LARGEST)
    if len(returns) > MOST_BATCHES or returns.shape[1] not in SIZES:
        message = (
            f"asked with returns of shape {returns.shape}, expected (M, N): at most {MOST_BATCHES} batches of "
            f"{SIZES[0]} to {SIZES[-1]} pulls"
        )
        raise Problem(Status.SHAPE, message, line_ups.TOO_MUCH)
    return (returns,)


def _say(suspect, returns):
    return np.stack([np.asarray(suspect(batch.copy()), dtype=np.float64) for batch in returns])


def _every_batch(probs, n):
    """All batches (A^N, N) of n pulls, as actions, and their chances (A^N,)."""
    actions = np.array([*itertools.product(range(len(probs)), repeat=n)])
    return actions, np.array(probs)[actions].prod(1)


def _mean_estimate(advantages, actions, chances, probs):
    """E[(1/N) Σ_i (e_{a_i} − π) A_i], (…, A), of advantages (…, M, N)."""
    scores = np.eye(len(probs))[actions] - probs
    return np.einsum("m,...mn,mna->...a", chances, advantages, scores) / actions.shape[1]


def _gradient(probs, pays):
    return probs * (pays - probs @ pays)


def _bias(suspect):
    """The largest distance of its mean from ∇J in these worlds; NaN where it has none, None where it gives no (N,)."""
    distances = []
    for probs, pays in ((np.array(probs), np.array(pays)) for probs, pays in WORLDS):
        for n in SIZES[:2]:
            actions, chances = _every_batch(probs, n)
            try:
                advantages = _say(suspect, pays[actions])
            except (ValueError, ArithmeticError):
                return None
            if advantages.shape != actions.shape:
                return None
            mean = _mean_estimate(advantages, actions, chances, probs)
            distances.append(np.abs(mean - _gradient(probs, pays)).max())
    return max(distances)


def _catalogue():
    """Guilty is who is biased, not who does what nobody asked for: many a wrong leave-one-out is innocent of that."""
    others = [m.wrong for m in batch_mean_advantages.EXERCISE.misconceptions if m.name in ALSO]
    wrong = [m.wrong for m in leave_one_out_advantages.EXERCISE.misconceptions]
    with np.errstate(all="ignore"):
        biases = [(suspect, _bias(suspect)) for suspect in (*wrong, *others)]
    guilty = tuple(suspect for suspect, bias in biases if bias is not None and bias > CLOSE)
    unbiased = tuple(suspect for suspect, bias in biases if bias is not None and bias <= CLOSE)
    return line_ups.Catalogue(
        guilty, (*unbiased, *leave_one_out_advantages.EXERCISE.accepts[:2]), ("returns",), _read, _say
    )


CATALOGUE = _catalogue()


def _everything_in(returns):
    """Whether every batch that can be made of these returns is there."""
    batches = itertools.product(np.unique(returns), repeat=returns.shape[1])
    return set(batches) == set(map(tuple, returns))


def _full(outcome):
    return np.ptp(outcome["returns"]) > 0 and _everything_in(outcome["returns"])


def _is_leave_one_out(answers, returns):
    others = (returns.sum(1, keepdims=True) - returns) / (returns.shape[1] - 1)
    return np.isclose(answers, returns - others).all((1, 2))


def _adds_up_to_zero(answers, returns):
    return np.isclose(answers.sum(2), 0).all(1)


def _is_as_the_first(answers, returns):
    return np.isclose(answers, answers[0]).all((1, 2))


def _tells(right):
    """verdict = not right(answers, returns), on a full question."""
    return lambda o: _full(o) and (o["verdict"] == ~right(o["answers"], o["returns"])).all()


def _equal(mean, gradient):
    return np.isclose(mean, gradient, rtol=1e-6, atol=1e-9).all(1)


def _along(mean, gradient):
    with np.errstate(all="ignore"):
        return mean @ gradient / np.linalg.norm(mean, axis=1) / np.linalg.norm(gradient) > 0.999


def _by(probs=(0.3, 0.7), pays=(1, 3), n=3, same=_equal, keep=None, gradient=_gradient):
    """An answer that asks about all batches of a world, or those to keep, and acquits whose mean is the same as ∇J."""
    probs, pays = np.array(probs), np.array(pays)

    def acquit_or_convict(ask):
        actions, chances = _every_batch(probs, n)
        kept = np.full(len(actions), True) if keep is None else keep(actions)
        actions, chances = actions[kept], chances[kept]
        return ~same(_mean_estimate(ask(pays[actions]), actions, chances, probs), gradient(probs, pays))

    return acquit_or_convict


def _seen(right):
    """An answer that judges by what the suspects say, and not by its mean."""

    def acquit_or_convict(ask):
        actions, _ = _every_batch((0.5, 0.5), 3)
        returns = np.array([1.0, 3.0])[actions]
        return ~right(ask(returns), returns)

    return acquit_or_convict


def _on_paper(ask):
    """Two levers, a coin toss, pays 0 and 1: ∇J is (−1/4, 1/4), and of the scores, ±1/2, one component is enough."""
    batches = [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
    signs = [[-1, -1, -1], [-1, -1, 1], [-1, 1, -1], [-1, 1, 1], [1, -1, -1], [1, -1, 1], [1, 1, -1], [1, 1, 1]]
    return [abs((advantages * signs).sum() / 48 - 0.25) > 1e-9 for advantages in ask(batches)]


def _by_loops(ask):
    probs, pays = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64), torch.tensor([2, 0, -1])
    batches = [*itertools.product(range(3), repeat=3)]
    answers = torch.as_tensor(ask(pays[torch.tensor(batches)]))
    mean = torch.zeros(len(answers), 3, dtype=torch.float64)
    for m, batch in enumerate(batches):
        for i, action in enumerate(batch):
            score = torch.eye(3, dtype=torch.float64)[action] - probs
            mean += probs[list(batch)].prod() * answers[:, m, i, None] * score / 3
    return ((mean - probs * (pays - probs @ pays.double())).abs() > 1e-8).any(1).int()


def _too_much(ask):
    returns = np.random.default_rng(0).normal(size=(5, 3))
    return ask(returns).any((1, 2))


SIGNS = (
    *line_ups.common_signs(_by()),
    Sign(
        Misconception(
            line_ups.TOO_MUCH,
            "The suspects take whole numbers, in batches of two to four. You need no more: which world has so few "
            "batches that you can ask about every one?",
            _too_much,
        ),
        line_ups.never,
    ),
    Sign(
        Misconception(
            "a world in which everything pays the same",
            "In your question everything pays the same, so ∇J is zero, and many a biased estimate as well. Where there "
            "is nothing to find, nobody can be caught.",
            _by(pays=(2, 2)),
        ),
        lambda o: np.ptp(o["returns"]) == 0 and line_ups.spares_only_guilty(o),
    ),
    Sign(
        Misconception(
            "a batch is missing",
            "Your question leaves out some batches of its world. An expectation is over *all* of them, those included "
            "in which nothing seems to happen.",
            _by(keep=lambda actions: np.ptp(actions, axis=1) > 0),
        ),
        lambda o: not _everything_in(o["returns"]),
    ),
    Sign(
        Misconception(
            "everybody is convicted",
            "The innocent as well, so the equality itself is not right. Try it on bare returns, which (7.1) acquits: "
            "does each batch have its chance, is there a 1/N, and is ∇J right?",
            _by(gradient=lambda probs, pays: probs * pays),
        ),
        lambda o: o["verdict"].all(),
    ),
    Sign(
        Misconception(
            "two in a batch",
            "With two in a batch there is one other, and a sum over the others, or a factor of N, is hard to tell from "
            "what is right. How many does it take?",
            _by(n=2),
        ),
        lambda o: o["returns"].shape[1] == 2 and line_ups.spares_only_guilty(o),
    ),
    Sign(
        Misconception(
            "suspect A taken at its word",
            "You hold everybody against the first suspect, who is one of the six. Hold them against ∇J.",
            _seen(_is_as_the_first),
        ),
        _tells(_is_as_the_first),
    ),
    Sign(
        Misconception(
            "everybody convicted who is not leave-one-out",
            "You acquit leave-one-out and nobody else. The charge is bias, and there are other baselines that do not "
            "know the action.",
            _seen(_is_leave_one_out),
        ),
        _tells(_is_leave_one_out),
    ),
    Sign(
        Misconception(
            "advantages that add up to zero",
            "You acquit those whose advantages add up to zero in every batch. Is that what *unbiased* means? And "
            "what of the scores that they multiply?",
            _seen(_adds_up_to_zero),
        ),
        _tells(_adds_up_to_zero),
    ),
    Sign(
        Misconception(
            "rounding is no crime",
            "You convict somebody whose mean is ∇J to all digits but the last. How close is close enough?",
            _by((0.4, 0.6), (0, 1), same=lambda mean, gradient: (mean == gradient).all(1)),
        ),
        line_ups.convicts_only_innocent,
    ),
    Sign(
        Misconception(
            "a bias that is let off",
            "Your question says it all, and somebody gets away whose mean is *not* ∇J. Half of ∇J points the same way: "
            "do you compare lengths as well, and closely?",
            _by(same=_along),
        ),
        lambda o: _full(o) and line_ups.spares_only_guilty(o),
    ),
)

EXERCISE = Exercise(
    name="acquit_or_convict",
    lesson=7,
    place=2.5,
    points=3,
    minutes=15,
    difficulty=3,
    signature="acquit_or_convict(ask) -> (6,) bool, True for guilty of bias; ask(returns (M,N)) -> (6,M,N), once",
    cases=line_ups.cases,
    oracle=line_ups.oracle(CATALOGUE),
    probe="convict",
    trial=line_ups.trial(CATALOGUE, SIGNS),
    line_up=line_ups.line_up(CATALOGUE),
    accepts=(
        _by(),
        _on_paper,
        _by_loops,
        _by((0.5, 0.5), (0, 1), 4),
        _by((0.25, 0.5, 0.25), (0, 1, 2), same=lambda mean, gradient: abs(mean - gradient).max(1) < 1e-6),
    ),
    misconceptions=tuple(sign.misconception for sign in SIGNS),
)
