import math

import numpy as np

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, mask_of, random_masks, with_garbage
from pgcourse.exercises.lesson_8.shared import log_prob_pair, log_rhos, masked
from pgcourse.exercises.pieces import in_torch


def _long(rng, mean_new, mean_old):
    """300 and 400 steps: the product of so many probabilities is no number that a float can hold."""
    mask = mask_of([400, 300])
    new, old = (mean * rng.uniform(0.9, 1.1, mask.shape) for mean in (mean_new, mean_old))
    new, old = (with_garbage(rng, x, mask, 10) for x in (new, old))
    return case(new_log_probs=new, old_log_probs=old, mask=mask)


def _log_ratio_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(new_log_probs=[[-0.5]], old_log_probs=[[-1.25]], mask=[[True]]),
        case(
            new_log_probs=[[-0.5, -1.0], [-2.0, 7.0]],
            old_log_probs=[[-1.0, -0.75], [-0.5, 4.0]],
            mask=mask_of([2, 1]),
        ),
        case(new_log_probs=[[-1.0, -0.5, -0.25]], old_log_probs=[[-0.25, -2.0, -1.5]], mask=mask_of([2], 3)),
    ]
    for mask in random_masks(rng):
        new, old = log_prob_pair(rng, mask)
        cases.append(case(new_log_probs=new, old_log_probs=old, mask=mask))
    return [*cases, _long(rng, -2.75, -2.8), _long(rng, -3.0, -0.1)]


def _log_ratio_oracle(new_log_probs, old_log_probs, mask):
    result = []
    for new, old, happened in zip(new_log_probs, old_log_probs, mask, strict=True):
        result.append(math.fsum(n - o for n, o, is_real in zip(new, old, happened, strict=True) if is_real))
    return result


EXERCISE = Exercise(
    name="trajectory_log_ratio",
    lesson=8,
    place=2,
    points=2,
    minutes=10,
    difficulty=1,
    signature="trajectory_log_ratio(new_log_probs (N,T), old_log_probs (N,T), mask (N,T)) -> (N,), new minus old",
    cases=_log_ratio_cases,
    oracle=_log_ratio_oracle,
    references=("estimators.trajectory_log_ratio", "estimators.log_ratios", "estimators.state_value_advantages"),
    accepts=(
        lambda new, old, mask: ((new - old) * mask).sum(1),
        lambda new, old, mask: np.where(mask, new, 0).sum(1) - np.where(mask, old, 0).sum(1),
        lambda new, old, mask: np.einsum("nt,nt->n", new - old, mask),
        lambda new, old, mask: (np.float32(new) - np.float32(old)).sum(1, where=mask),
        lambda new, old, mask: [new[i][mask[i]].sum() - old[i][mask[i]].sum() for i in range(len(mask))],
        in_torch(lambda new, old, mask: (new - old).masked_fill(~mask, 0).sum(1)),
    ),
    misconceptions=(
        Misconception(
            "old minus new",
            "Every term is there, with the sign turned round. A trajectory that the new policy likes better than the "
            "old one should come out positive.",
            lambda new, old, mask: -log_rhos(new, old, mask).sum(1),
        ),
        Misconception(
            "ratio instead of its logarithm",
            "You return the ratio itself. Its logarithm is asked, and for a reason: after some hundred steps the ratio "
            "may be too small or too large for a float.",
            lambda new, old, mask: np.exp(log_rhos(new, old, mask).sum(1)),
        ),
        Misconception(
            "ratio upside down",
            "You return the old likelihood divided by the new one. Two things: which policy is on top, and that the "
            "logarithm of the ratio is asked.",
            lambda new, old, mask: np.exp(-log_rhos(new, old, mask).sum(1)),
        ),
        Misconception(
            "logarithm of a ratio of products",
            "Right on paper. But several hundred probabilities multiplied are 0 in a computer, so that 0/0 or log 0 "
            "is left. What becomes of a product if you never leave the logarithms?",
            lambda new, old, mask: np.log(
                np.exp(masked(new, mask)).prod(1) / np.exp(masked(old, mask)).prod(1),
            ),
        ),
        Misconception(
            "logarithm of a product of ratios",
            "Better than dividing two products: as long as the policies are close. Where they are not, the product of "
            "some hundred ratios is 0, too. Why leave the logarithms at all?",
            lambda new, old, mask: np.log(np.exp(log_rhos(new, old, mask)).prod(1)),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened are in your sum. What stands in the padding means nothing: keep it out.",
            lambda new, old, mask: (new - old).sum(1),
        ),
        Misconception(
            "mask forgotten, old minus new",
            "Two things: the padding takes part, and the difference is taken the other way round.",
            lambda new, old, mask: (old - new).sum(1),
        ),
        Misconception(
            "mask the wrong way round",
            "You add up the padding and leave out what happened. What does True in the mask stand for?",
            lambda new, old, mask: log_rhos(new, old, ~mask).sum(1),
        ),
        Misconception(
            "only one of the two masked",
            "One of the two arrays is masked, the other brings its padding along. A step that never happened is in "
            "neither likelihood.",
            lambda new, old, mask: masked(new, mask).sum(1) - old.sum(1),
        ),
        Misconception(
            "only the old one masked",
            "The old log-probabilities are masked, the new ones bring their padding along. A step that never happened "
            "is in neither.",
            lambda new, old, mask: new.sum(1) - masked(old, mask).sum(1),
        ),
        Misconception(
            "mean over the steps",
            "You average over the steps. A trajectory's likelihood is a product over all of them, so its logarithm is "
            "a plain sum, however long it is.",
            lambda new, old, mask: log_rhos(new, old, mask).sum(1) / mask.sum(1),
        ),
        Misconception(
            "mean over the whole row",
            "You divide by T, padding included. The logarithm of a product is a plain sum: nothing is divided.",
            lambda new, old, mask: log_rhos(new, old, mask).mean(1),
        ),
        Misconception(
            "one number for each step",
            "These are the log ratios of the steps. A trajectory has one: put its steps together.",
            log_rhos,
        ),
        Misconception(
            "one number for each step, mask forgotten",
            "These are the log ratios of the steps, padding included. A trajectory has one: put those steps together "
            "that happened.",
            lambda new, old, mask: new - old,
        ),
        Misconception(
            "steps picked out and not put together",
            "Indexing with the mask gives the log ratios of all steps in one long row. Which of them belong to which "
            "trajectory?",
            lambda new, old, mask: (new - old)[mask],
        ),
        Misconception(
            "running sum",
            "You return the sums *so far*, one for each step. They will be useful later; here only the whole "
            "trajectory's is asked.",
            lambda new, old, mask: np.cumsum(log_rhos(new, old, mask), 1),
        ),
        Misconception(
            "one number for the batch",
            "Everything is added into one number. Each trajectory has a ratio of its own: which axis is time?",
            lambda new, old, mask: log_rhos(new, old, mask).sum(),
        ),
        Misconception(
            "mean over the batch",
            "You average over the trajectories. Each of them has a ratio of its own.",
            lambda new, old, mask: log_rhos(new, old, mask).sum(1).mean(),
        ),
        Misconception(
            "summed over the trajectories",
            "You add up along the wrong axis: different trajectories at the same time. A product over *time* is what "
            "makes a likelihood.",
            lambda new, old, mask: log_rhos(new, old, mask).sum(0),
        ),
        Misconception(
            "ratios added up",
            "You add up the ratios of the steps. They multiply: it is their logarithms that add.",
            lambda new, old, mask: (np.exp(new - old) * mask).sum(1),
        ),
        Misconception(
            "logarithm of the sum of the ratios",
            "You add up ratios and take the logarithm of the sum. Independent choices multiply, so the logarithm comes "
            "first.",
            lambda new, old, mask: np.log((np.exp(new - old) * mask).sum(1)),
        ),
        Misconception(
            "logarithm of a ratio of sums",
            "You add up probabilities. The likelihood of a trajectory is their product, whose logarithm is the sum of "
            "the numbers that you were given.",
            lambda new, old, mask: np.log((np.exp(new) * mask).sum(1) / (np.exp(old) * mask).sum(1)),
        ),
        Misconception(
            "log-probabilities multiplied",
            "You multiply log-probabilities. It is the probabilities that multiply.",
            lambda new, old, mask: masked(new, mask, 1).prod(1) - masked(old, mask, 1).prod(1),
        ),
        Misconception(
            "log-likelihoods divided",
            "You divide one log-likelihood by the other. A ratio becomes a difference once you take logarithms.",
            lambda new, old, mask: masked(new, mask).sum(1) / masked(old, mask).sum(1),
        ),
        Misconception(
            "log-probabilities divided step by step",
            "You divide logarithms, step by step. A ratio of probabilities is a *difference* of their logarithms.",
            lambda new, old, mask: masked(new / old, mask).sum(1),
        ),
        Misconception(
            "difference of likelihoods",
            "You subtract likelihoods. The logarithm of their ratio is asked, which is a difference of logarithms.",
            lambda new, old, mask: np.exp(masked(new, mask).sum(1)) - np.exp(masked(old, mask).sum(1)),
        ),
        Misconception(
            "new policy only",
            "This is the new policy's log-likelihood. A ratio compares: with what?",
            lambda new, old, mask: masked(new, mask).sum(1),
        ),
        Misconception(
            "only the last step",
            "Only the last step counts here. Is something overwritten in a loop where it should be added?",
            lambda new, old, mask: log_rhos(new, old, mask)[np.arange(len(mask)), mask.sum(1) - 1],
        ),
        Misconception(
            "only the first step",
            "Only the first step counts here. Every choice on the way was made by the policy.",
            lambda new, old, mask: log_rhos(new, old, mask)[:, 0],
        ),
        Misconception(
            "last step missing",
            "The last step of each trajectory is missing: its action was chosen by the policy like all the others.",
            lambda new, old, mask: (
                log_rhos(new, old, mask).sum(1) - log_rhos(new, old, mask)[np.arange(len(mask)), mask.sum(1) - 1]
            ),
        ),
    ),
)
