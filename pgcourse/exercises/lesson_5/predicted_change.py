import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case


def _predicted_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(score=[2.0], gradient=[3.0], learning_rate=0.5),
        case(score=[0.5, -0.5], gradient=[2.0, 1.0], learning_rate=0.1),
        case(score=[1.0, -2.0], gradient=[4.0, 2.0], learning_rate=0.25),  # orthogonal: no change at all
        case(score=[1.5, -0.5, -1.0], gradient=[-2.0, 0.5, 1.5], learning_rate=1.0),
        case(score=[2.0, 1.0], gradient=[0.25, -0.125], learning_rate=2.0),  # shorter than 1: clipping leaves it alone
    ]
    for size, learning_rate in ((3, 0.01), (4, 2.0), (6, 0.3), (9, 1e-3)):
        score, gradient = rng.normal(size=(2, size))
        cases.append(case(score=score, gradient=3 * gradient, learning_rate=learning_rate))
    return cases


def _predicted_oracle(score, gradient, learning_rate):
    return sum(g * learning_rate * step for g, step in zip(score, gradient, strict=True))


def _norm(vector):
    return np.linalg.norm(vector)


EXERCISE = Exercise(
    name="predicted_change",
    lesson=5,
    place=2,
    points=2,
    minutes=8,
    difficulty=1,
    signature="predicted_change(score (P,), gradient (P,), learning_rate) -> scalar",
    cases=_predicted_cases,
    oracle=_predicted_oracle,
    accepts=(
        lambda g, v, lr: lr * g @ v,
        lambda g, v, lr: np.dot(g, lr * v),
        lambda g, v, lr: (lr * (g * v)).sum(),
        lambda g, v, lr: np.einsum("p,p->", g, v) * lr,
        lambda g, v, lr: lr * torch.dot(torch.from_numpy(g), torch.from_numpy(v)),
        lambda g, v, lr: (torch.tensor(g, dtype=torch.float32) * torch.tensor(v, dtype=torch.float32)).sum() * lr,
        lambda g, v, lr: sum(lr * a * b for a, b in zip(g.tolist(), v.tolist(), strict=True)),
        lambda g, v, lr: lr * sum(g[i] * v[i] for i in range(len(g))),
    ),
    misconceptions=(
        Misconception(
            "learning rate left out",
            "The direction is right, and the length of the step is missing: half the learning rate, half the change.",
            lambda g, v, lr: g @ v,
        ),
        Misconception(
            "downhill",
            "This is what a step *against* the gradient would do. The loop climbs: θ + α ĝ.",
            lambda g, v, lr: -lr * g @ v,
        ),
        Misconception(
            "downhill, learning rate left out",
            "Two things: the loop steps *along* ĝ, and the step has a length, α.",
            lambda g, v, lr: -(g @ v),
        ),
        Misconception(
            "one number for each parameter",
            "You return what each parameter contributes. The trajectory has one likelihood: how do small changes "
            "of several parameters combine to first order?",
            lambda g, v, lr: lr * g * v,
        ),
        Misconception(
            "one number for each parameter, learning rate left out",
            "Two things are missing: the length of the step, and putting the contributions of all parameters together.",
            lambda g, v, lr: g * v,
        ),
        Misconception(
            "mean over the parameters",
            "You average over the parameters. Every one of them moved, and every one adds its part to the change.",
            lambda g, v, lr: lr * (g * v).mean(),
        ),
        Misconception(
            "mean over the parameters, learning rate left out",
            "Two things: the parameters' parts add up (no average), and the step has a length, α.",
            lambda g, v, lr: (g * v).mean(),
        ),
        Misconception(
            "own score followed",
            "This is what a step along the trajectory's *own* score would do. The step taken is α times `gradient`, "
            "which other trajectories have shaped as well.",
            lambda g, v, lr: lr * g @ g,
        ),
        Misconception(
            "change of J",
            "α‖ĝ‖² is how much the *objective* would gain if ĝ were its gradient. Asked is what the step does to one "
            "trajectory: where does its score come in?",
            lambda g, v, lr: lr * v @ v,
        ),
        Misconception(
            "cosine",
            "You divide by the lengths, so that only the angle counts. A longer step does more, and so does a longer "
            "score: leave the lengths in.",
            lambda g, v, lr: g @ v / (_norm(g) * _norm(v)),
        ),
        Misconception(
            "cosine times learning rate",
            "Both vectors are scaled to length one before they meet. The loop steps by α ĝ as it is, and a longer "
            "score means a steeper slope.",
            lambda g, v, lr: lr * g @ v / (_norm(g) * _norm(v)),
        ),
        Misconception(
            "gradient clipped to length one",
            "A long ĝ is cut to length one before the step. Many trainers do that; (5.8) asks for α ĝ as it is.",
            lambda g, v, lr: lr * g @ v / max(1, _norm(v)),
        ),
        Misconception(
            "gradient scaled to length one",
            "You take a step of length α in the direction of ĝ. The loop adds α ĝ as it is: a longer ĝ means a longer "
            "step.",
            lambda g, v, lr: lr * g @ v / _norm(v),
        ),
        Misconception(
            "score scaled to length one",
            "You project on the direction of the score. That is how far θ moves that way; how much log π(τ) changes "
            "on the way depends on how steep it is.",
            lambda g, v, lr: lr * g @ v / _norm(g),
        ),
        Misconception(
            "lengths instead of a scalar product",
            "α‖g‖‖ĝ‖ is the most that a step of this length can do, when both point the same way. What if they do not?",
            lambda g, v, lr: lr * _norm(g) * _norm(v),
        ),
        Misconception(
            "sum times sum",
            "You multiply one sum by another, so every component of the score meets every component of ĝ. Parameter "
            "p's slope belongs to parameter p's step only.",
            lambda g, v, lr: lr * g.sum() * v.sum(),
        ),
        Misconception(
            "outer product",
            "You return a P × P table of all products. Parameter p's slope belongs to parameter p's step: only the "
            "diagonal counts, added up.",
            lambda g, v, lr: lr * np.outer(g, v),
        ),
        Misconception(
            "sizes instead of signed products",
            "You add up sizes. A parameter that moves against the score makes the trajectory less likely: keep the "
            "signs.",
            lambda g, v, lr: lr * np.abs(g * v).sum(),
        ),
        Misconception(
            "size of the change",
            "The size is right, and the sign is lost: a step may make a trajectory less likely, too.",
            lambda g, v, lr: abs(lr * g @ v),
        ),
        Misconception(
            "ratio of likelihoods",
            "With exp you predict π'(τ) / π(τ), how many times likelier the trajectory gets. The change of its "
            "*log*-likelihood is asked, which is 0 where nothing changes.",
            lambda g, v, lr: np.exp(lr * g @ v),
        ),
        Misconception(
            "relative change",
            "exp(…) − 1 predicts by which fraction the likelihood itself grows. Asked is the change of its logarithm.",
            lambda g, v, lr: np.expm1(lr * g @ v),
        ),
        Misconception(
            "learning rate counted twice",
            "α appears twice: once in the step is enough.",
            lambda g, v, lr: lr**2 * g @ v,
        ),
        Misconception(
            "divided by the learning rate",
            "A larger learning rate means a larger step and so a larger change: on which side of the fraction bar "
            "does α belong?",
            lambda g, v, lr: g @ v / lr,
        ),
        Misconception(
            "half of it",
            "The ½ belongs to the second term of a Taylor series. To first order there is only slope times step.",
            lambda g, v, lr: lr * g @ v / 2,
        ),
        Misconception(
            "the step itself",
            "You return the step, α ĝ. What does this step do to a function whose slope is the score?",
            lambda g, v, lr: lr * v,
        ),
        Misconception(
            "score left out",
            "You add up the step itself. How much log π(τ) changes depends on its slope in each of the parameters too.",
            lambda g, v, lr: lr * v.sum(),
        ),
        Misconception(
            "gradient left out",
            "Here every parameter moves by α. They move by α times their entry of `gradient`.",
            lambda g, v, lr: lr * g.sum(),
        ),
        Misconception(
            "score after the step",
            "score + α·gradient adds a slope and a displacement, two different things. To first order a change is "
            "slope *times* displacement.",
            lambda g, v, lr: g + lr * v,
        ),
        Misconception(
            "difference instead of product",
            "You subtract a slope from a displacement. To first order, a function changes by its slope *times* the "
            "displacement.",
            lambda g, v, lr: lr * (v - g).sum(),
        ),
        Misconception(
            "number inside a list",
            "The number is wrapped in an array or list of length one. A scalar is asked: the number itself.",
            lambda g, v, lr: [lr * g @ v],
        ),
        Misconception(
            "entries of the moved score added up",
            "You add the step to the score and then everything up. A slope and a displacement do not add: to first "
            "order a change is slope *times* displacement.",
            lambda g, v, lr: (g + lr * v).sum(),
        ),
        Misconception(
            "length of the step",
            "You return how far θ moves. How much log π(τ) changes on the way depends on the direction too: where does "
            "the score come in?",
            lambda g, v, lr: lr * _norm(v),
        ),
        Misconception(
            "logarithm of the prediction",
            "The score is the slope of log π(τ) already, so no other logarithm is needed (and this one fails wherever "
            "a trajectory gets less likely).",
            lambda g, v, lr: np.log(lr * g @ v),
        ),
        Misconception(
            "every entry times the sum of the gradient",
            "Every entry of the score meets the *sum* of ĝ here. Parameter p's slope belongs to parameter p's step "
            "only, and then the parts add up.",
            lambda g, v, lr: lr * g * v.sum(),
        ),
        Misconception(
            "only the first parameter",
            "Only one of the parameters is in your result: does a loop return too early, or an index pick the first?",
            lambda g, v, lr: lr * g[0] * v[0],
        ),
        Misconception(
            "only the last parameter",
            "Only the last of the parameters is in your result: is something overwritten in a loop where it should be "
            "added?",
            lambda g, v, lr: lr * g[-1] * v[-1],
        ),
    ),
)
