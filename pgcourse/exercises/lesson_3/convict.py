import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception, line_ups
from pgcourse.exercises.lesson_3 import policy_gradient_estimate
from pgcourse.exercises.line_ups import Sign
from pgcourse.judging.calling import Problem
from pgcourse.judging.statuses import Status

# convict: the wrong estimates of another exercise, to be told from the right ones by one small question

LARGEST, MOST = 3, 3  # a question that can be answered on paper
BATCHES = [
    (rng.normal(size=shape), rng.normal(size=shape[0]))
    for rng in [np.random.default_rng(0)]
    for shape in ((3, 2), (2, 4))
]


def _read(*question):
    if len(question) != 2:
        message = f"asked with {len(question)} arrays, expected two: scores (N, P) and total_rewards (N,)"
        raise Problem(Status.SHAPE, message, line_ups.TOO_MUCH)
    scores = line_ups.whole_numbers("scores", question[0], 2, LARGEST)
    rewards = line_ups.whole_numbers("total_rewards", question[1], 1, LARGEST)
    if max(scores.shape) > MOST or len(scores) != len(rewards):
        shapes = f"scores {scores.shape} and total_rewards {rewards.shape}"
        message = f"asked with {shapes}, expected (N, P) and (N,), at most {MOST} trajectories and {MOST} parameters"
        raise Problem(Status.SHAPE, message, line_ups.TOO_MUCH)
    return scores, rewards


def _looks_like_a_gradient(estimate):
    """Whether it gives (P,) on batches of any shape: the others would be known by that alone."""
    try:
        return all(np.shape(estimate(*batch)) == batch[0].shape[1:] for batch in BATCHES)
    except ValueError:
        return False


def _say(suspect, scores, rewards):
    return np.asarray(suspect(scores, rewards), dtype=np.float64)


CATALOGUE = line_ups.Catalogue(
    tuple(m.wrong for m in policy_gradient_estimate.EXERCISE.misconceptions if _looks_like_a_gradient(m.wrong)),
    policy_gradient_estimate.EXERCISE.accepts,
    ("scores", "total_rewards"),
    _read,
    _say,
)


def _estimate(scores, rewards):
    return (scores * rewards[:, None]).mean(0)


def _same(answers, truth):
    return np.isclose(answers, truth, rtol=1e-6, atol=1e-6).all(1)


def _is_right(answers, scores, rewards):
    return _same(answers, _estimate(scores, rewards))


def _escape(shows):
    """A question, shows(scores, rewards), to which everybody who gets away gives the right answer."""

    def escapes(o):
        got_away = o["guilty"] & ~o["verdict"]
        right = _is_right(o["answers"], o["scores"], o["total_rewards"])
        return line_ups.spares_only_guilty(o) and right[got_away].all() and shows(o["scores"], o["total_rewards"])

    return escapes


def _tells(right):
    """verdict = not right(answers, scores, rewards), in a line-up whose question is no single trajectory."""
    return lambda o: (
        len(o["scores"]) > 1 and (o["verdict"] == ~right(o["answers"], o["scores"], o["total_rewards"])).all()
    )


def _only_by_rounding(o):
    """Whether every verdict that is wrong convicts an innocent who differs in the last digits."""
    truth = _estimate(o["scores"], o["total_rewards"])
    convicted = o["answers"][o["verdict"] & ~o["guilty"]]
    return line_ups.convicts_only_innocent(o) and (convicted != truth).any(1).all()


TELLING = np.array([[1, 2], [-3, 1], [2, -2]]), np.array([1, -2, 3])


def _by(scores, rewards, right=_is_right):
    """An answer that asks this question, and convicts whoever is not right(answers, scores, rewards)."""
    scores, rewards = np.array(scores), np.array(rewards)
    return lambda ask: ~right(ask(scores, rewards), scores, rewards)


def _on_paper(ask):
    """The question is small, and the right answer to it was worked out by hand."""
    answers = ask([[1, 2, 0], [3, 1, -1]], [2, 1])
    return [max(abs(answer - [2.5, 2.5, -0.5])) > 1e-6 for answer in answers]


def _in_torch(ask):
    scores, rewards = (torch.as_tensor(x, dtype=torch.float64) for x in TELLING)
    answers = torch.as_tensor(ask(scores, rewards))
    return (answers - rewards @ scores / len(rewards)).abs().amax(1) > 1e-5


def _by_first(answers, scores, rewards):
    return _same(answers, answers[0])


SIGNS = (
    *line_ups.common_signs(_by(*TELLING)),
    Sign(
        Misconception(
            line_ups.TOO_MUCH,
            "The suspects listen only to what fits on paper. A handful of small whole numbers is enough, if you choose "
            "them: which ones would give a mistake away that you have made yourself?",
            lambda ask: _is_right(
                ask(*(batch := (np.random.default_rng(0).normal(size=(5, 3)), np.arange(5.0)))), *batch
            ),
        ),
        line_ups.never,
    ),
    Sign(
        Misconception(
            "rounding is no crime",
            "You convict somebody who is right to all digits but the last. Sums in another order, or in float32, round "
            "differently: how close is close enough?",
            _by(*TELLING, lambda answers, scores, rewards: (answers == _estimate(scores, rewards)).all(1)),
        ),
        _only_by_rounding,
    ),
    Sign(
        Misconception(
            "everybody is convicted",
            "The innocent as well: nobody says what you expect. Is your own answer to the question that of (3.2)? Work "
            "it out on paper once more.",
            _by(*TELLING, lambda answers, scores, rewards: _same(answers, _estimate(scores, rewards) + 1)),
        ),
        lambda o: o["verdict"].all(),
    ),
    Sign(
        Misconception(
            "1/N missing in your own answer",
            "Those whom you acquit have what you have: a sum. What does (3.2) do with it?",
            _by(*TELLING, lambda answers, scores, rewards: _same(answers, rewards @ scores)),
        ),
        _tells(lambda answers, scores, rewards: _same(answers, rewards @ scores)),
    ),
    Sign(
        Misconception(
            "suspect A taken at its word",
            "You hold everybody against the first suspect, who is one of the six. Hold them against what you know to "
            "be right.",
            _by(*TELLING, _by_first),
        ),
        lambda o: not _is_right(o["answers"], o["scores"], o["total_rewards"])[0] and _tells(_by_first)(o),
    ),
    Sign(
        Misconception(
            "the evidence is there, and not used",
            "Somebody gets away with an answer that is visibly wrong. Do you compare *every* entry, and closely "
            "enough?",
            _by(*TELLING, lambda answers, s, r: np.isclose(answers[:, 0], _estimate(s, r)[0])),
        ),
        lambda o: (
            line_ups.spares_only_guilty(o)
            and not _is_right(o["answers"], o["scores"], o["total_rewards"])[o["guilty"] & ~o["verdict"]].any()
        ),
    ),
    Sign(
        Misconception(
            "a single trajectory",
            "With one trajectory there is nothing to average, to leave out or to mix up, and nearly every mistake "
            "looks right. How many does it take?",
            _by([[1, 2]], [3]),
        ),
        _escape(lambda scores, rewards: len(scores) == 1),
    ),
    Sign(
        Misconception(
            "equal rewards",
            "All your trajectories earn the same, so it does not matter whose reward meets whose score. Some mistakes "
            "live on just that.",
            _by([[1, 2], [-3, 1], [1, -1]], [2, 2, 2]),
        ),
        _escape(lambda scores, rewards: np.ptp(rewards) == 0),
    ),
    Sign(
        Misconception(
            "as many parameters as trajectories",
            "Your N is your P, and who divides by the wrong one of them gets away.",
            _by([[1, 2], [-3, 1]], [1, 3]),
        ),
        _escape(lambda scores, rewards: scores.shape[0] == scores.shape[1]),
    ),
    Sign(
        Misconception(
            "rewards that add up to zero",
            "Your rewards add up to zero. Who subtracts their mean, or forgets to, does the same.",
            _by([[1, 2], [-3, 1], [1, -1]], [1, -3, 2]),
        ),
        _escape(lambda scores, rewards: rewards.sum() == 0),
    ),
    Sign(
        Misconception(
            "rewards that add up to N",
            "Your rewards add up to the number of trajectories. Who divides by the wrong one of the two gets away.",
            _by([[1, 2], [-3, 1], [1, -1]], [1, -1, 3]),
        ),
        _escape(lambda scores, rewards: rewards.sum() == len(rewards)),
    ),
    Sign(
        Misconception(
            "a trajectory without a say",
            "One of your trajectories has a reward of zero, or a score of zeros. Who leaves it out loses nothing.",
            _by([[1, 2], [-3, 1], [1, -1]], [1, -3, 0]),
        ),
        _escape(lambda scores, rewards: not (rewards * np.abs(scores).sum(1)).all()),
    ),
)

EXERCISE = Exercise(
    name="convict",
    lesson=3,
    place=2.5,
    points=3,
    minutes=15,
    difficulty=2,
    signature="convict(ask) -> (6,) bool, True for guilty; ask(scores (N,P), total_rewards (N,)) -> (6,P), once",
    cases=line_ups.cases,
    oracle=line_ups.oracle(CATALOGUE),
    probe="convict",
    trial=line_ups.trial(CATALOGUE, SIGNS, _is_right),
    line_up=line_ups.line_up(CATALOGUE),
    accepts=(_by(*TELLING), _on_paper, _in_torch, _by([[2, -1, 3], [1, 3, 1]], [3, -2])),
    misconceptions=tuple(sign.misconception for sign in SIGNS),
)
