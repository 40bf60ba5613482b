"""Lesson 8, Off-policy: importance weights, what they are worth, and two gradients made of them."""

import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, mask_of, random_mask, rewards_like, with_garbage

# importance_sampling_mean


def _mean_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(values=[1.0, 3.0], log_p=np.log([0.5, 0.25]), log_q=np.log([0.25, 0.5])),
        case(values=[-2.0], log_p=[-0.5], log_q=[-1.5]),
        case(values=[4.0, 4.0, 4.0], log_p=[-1.0, -2.0, -0.5], log_q=[-2.0, -1.0, -1.25]),
    ]
    for n, size in ((2, 0), (3, 0), (5, 0), (8, 0), (4, 900)):  # the last: probabilities that round to zero
        log_p, log_q = -rng.uniform(0.1, 2.5, (2, n)) - size
        cases.append(case(values=rewards_like(rng, n), log_p=log_p, log_q=log_q))
    return cases


def _mean_oracle(values, log_p, log_q):
    terms = [f * math.exp(p - q) for f, p, q in zip(values, log_p, log_q, strict=True)]
    return math.fsum(terms) / len(terms)


def _mean_loop(values, log_p, log_q):
    total = 0
    for i in range(len(values)):
        total += values[i] * np.exp(log_p[i] - log_q[i])
    return total / len(values)


def _mean_by_torch(values, log_p, log_q):
    values, log_p, log_q = (torch.tensor(x) for x in (values, log_p, log_q))
    return (values * (log_p - log_q).exp()).mean()


def _mean_in_single(values, log_p, log_q):
    values, log_p, log_q = (x.astype(np.float32) for x in (values, log_p, log_q))
    return np.mean(np.exp(log_p - log_q) * values)


IMPORTANCE_SAMPLING_MEAN = Exercise(
    name="importance_sampling_mean",
    lesson=8,
    points=2,
    minutes=10,
    difficulty=1,
    signature="importance_sampling_mean(values (N,), log_p (N,), log_q (N,)) -> scalar, samples from q, mean under p",
    cases=_mean_cases,
    oracle=_mean_oracle,
    accepts=(
        lambda f, p, q: np.mean(f * np.exp(p - q)),
        lambda f, p, q: f @ np.exp(p - q) / len(f),
        lambda f, p, q: sum((f * np.exp(p - q)).tolist()) / len(f),
        lambda f, p, q: np.average(f, weights=np.exp(p - q)) * np.exp(p - q).mean(),
        _mean_loop,
        _mean_by_torch,
        _mean_in_single,
    ),
    misconceptions=(
        Misconception(
            "ratio omitted",
            "This is the plain mean, what you would earn on average under q, who sampled. What makes the samples "
            "speak for p?",
            lambda f, p, q: f.mean(),
        ),
        Misconception(
            "ratio upside down",
            "Your weights are q/p. Think of a value that p likes and q hardly ever draws: should the few samples of "
            "it count for more, or for less?",
            lambda f, p, q: (f * np.exp(q - p)).mean(),
        ),
        Misconception(
            "exp forgotten",
            "You multiply by log p − log q. That is the logarithm of the weight: it is 0 where the two agree, and a "
            "sample on which they agree should simply count once.",
            lambda f, p, q: (f * (p - q)).mean(),
        ),
        Misconception(
            "logarithms divided",
            "You divide one logarithm by the other. A ratio of probabilities becomes a difference of logarithms, and "
            "one more step brings it back.",
            lambda f, p, q: (f * p / q).mean(),
        ),
        Misconception(
            "logarithm of the ratio of logarithms",
            "The two arrays hold logarithms already. No further logarithm is needed on the way to p/q; something that "
            "undoes one is.",
            lambda f, p, q: (f * np.log(p / q)).mean(),
        ),
        Misconception(
            "self-normalised",
            "You divide by the sum of the weights. That estimator exists, and often has less variance, but it is "
            "biased; (8.1) divides by how many samples there are.",
            lambda f, p, q: (f * np.exp(p - q - (p - q).max())).sum() / np.exp(p - q - (p - q).max()).sum(),
        ),
        Misconception(
            "self-normalised, ratio upside down",
            "Two things: the weights are q/p, the wrong way up, and you divide by their sum where the formula divides "
            "by the number of samples.",
            lambda f, p, q: (f * np.exp(q - p - (q - p).max())).sum() / np.exp(q - p - (q - p).max()).sum(),
        ),
        Misconception(
            "sum without 1/N",
            "The terms are right; they are only added up. An expectation is estimated by an average.",
            lambda f, p, q: (f * np.exp(p - q)).sum(),
        ),
        Misconception(
            "sum without 1/N, ratio upside down",
            "Two things: which of the two probabilities belongs on top, and what turns a sum over samples into an "
            "estimate of an expectation.",
            lambda f, p, q: (f * np.exp(q - p)).sum(),
        ),
        Misconception(
            "probabilities divided after they have rounded to zero",
            "Right for ordinary numbers. But exp(−900) is 0 in a computer, and 0/0 is not a number. Take the "
            "difference first, then a single exp.",
            lambda f, p, q: (f * (np.exp(p) / np.exp(q))).mean(),
        ),
        Misconception(
            "small number added to the denominator",
            "The small number in the denominator keeps the division from failing, and gives a weight of 0 where both "
            "probabilities have rounded to zero. Nothing need be added if you subtract logarithms first.",
            lambda f, p, q: (f * (np.exp(p) / (np.exp(q) + 1e-10))).mean(),
        ),
        Misconception(
            "largest taken off and not put back",
            "Taking the largest log-weight off is a good habit where only *relative* weights matter. Here their size "
            "matters: whatever you take off has to come back.",
            lambda f, p, q: (f * np.exp(p - q - (p - q).max())).mean(),
        ),
        Misconception(
            "weighted with p alone",
            "You weigh each sample with p. But q drew them, so what q likes is in the sample more often already: that "
            "has to be divided out.",
            lambda f, p, q: (f * np.exp(p)).mean(),
        ),
        Misconception(
            "sum of p f over the samples",
            "Σ p f would be right if the samples were a list of all outcomes, each once. They are draws from q: "
            "some repeat, some never come.",
            lambda f, p, q: (f * np.exp(p)).sum(),
        ),
        Misconception(
            "weighted with p alone, self-normalised",
            "You take a mean weighted with p. The samples are draws from q, which favours its own darlings already: "
            "each weight needs q underneath, and the sum is divided by N.",
            lambda f, p, q: (f * np.exp(p - p.max())).sum() / np.exp(p - p.max()).sum(),
        ),
        Misconception(
            "divided by q alone",
            "You divide by q, which makes all outcomes count alike, and stop there. What makes them count as p wants?",
            lambda f, p, q: (f * np.exp(-q)).mean(),
        ),
        Misconception(
            "difference of probabilities",
            "You weigh with p − q. A sample on which the two agree would then not count at all.",
            lambda f, p, q: (f * (np.exp(p) - np.exp(q))).mean(),
        ),
        Misconception(
            "mean value times mean weight",
            "The mean of a product is not the product of the means: which value had which weight is lost. Multiply "
            "sample by sample, then average.",
            lambda f, p, q: f.mean() * np.exp(p - q).mean(),
        ),
        Misconception(
            "ratio of two means",
            "You average f·p and q separately, and divide. Each sample has its own weight p/q: divide first, then "
            "average.",
            lambda f, p, q: (f * np.exp(p)).mean() / np.exp(q).mean(),
        ),
        Misconception(
            "one weight for all samples",
            "All samples share the product of all the weights here. These are N separate draws; a product over steps "
            "belongs to *one* trajectory.",
            lambda f, p, q: f.mean() * np.exp((p - q).sum()),
        ),
        Misconception(
            "weights only",
            "You average the weights, which gives 1 in expectation whatever is measured. Where do the values come in?",
            lambda f, p, q: np.exp(p - q).mean(),
        ),
        Misconception(
            "weights capped at one",
            "No weight of yours exceeds 1. That keeps the variance down, and exactly the samples that p likes most "
            "count too little: it is biased.",
            lambda f, p, q: (f * np.minimum(np.exp(p - q), 1)).mean(),
        ),
        Misconception(
            "one number for each sample",
            "You return the weighted values one by one. Their average is asked.",
            lambda f, p, q: f * np.exp(p - q),
        ),
        Misconception(
            "in logarithms, nothing multiplied",
            "You add log-weights to values, as if those were logarithms, too. A value counts p/q times: that is a "
            "product.",
            lambda f, p, q: (f + p - q).mean(),
        ),
    ),
)

# trajectory_log_ratio


def _log_probs(rng, mask):
    """New and old log-probabilities (N, T), garbage in the padding; no ratio is near 1."""
    old = -rng.uniform(0.8, 2.0, mask.shape)
    new = old + rng.choice([-1, 1], mask.shape) * rng.uniform(0.2, 0.7, mask.shape)
    return [with_garbage(rng, x, mask, 10) for x in (new, old)]


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
    for shape in SHAPES:
        mask = random_mask(rng, *shape)
        new, old = _log_probs(rng, mask)
        cases.append(case(new_log_probs=new, old_log_probs=old, mask=mask))
    return [*cases, _long(rng, -2.75, -2.8), _long(rng, -3.0, -0.1)]


def _log_ratio_oracle(new_log_probs, old_log_probs, mask):
    result = []
    for new, old, happened in zip(new_log_probs, old_log_probs, mask, strict=True):
        result.append(math.fsum(n - o for n, o, is_real in zip(new, old, happened, strict=True) if is_real))
    return result


def _masked(values, mask, padding=0.0):
    return np.where(mask.reshape(mask.shape + (1,) * (values.ndim - 2)), values, padding)


def _steps(new, old, mask):
    """log ρ_t, (N, T), zero in the padding."""
    return _masked(new - old, mask)


def _log_ratio_by_torch(new, old, mask):
    new, old, mask = (torch.from_numpy(x) for x in (new, old, mask))
    return (new - old).masked_fill(~mask, 0).sum(1)


def _log_ratio_of_one(new, old, mask):
    return [new[i][mask[i]].sum() - old[i][mask[i]].sum() for i in range(len(mask))]


TRAJECTORY_LOG_RATIO = Exercise(
    name="trajectory_log_ratio",
    lesson=8,
    points=2,
    minutes=10,
    difficulty=1,
    signature="trajectory_log_ratio(new_log_probs (N,T), old_log_probs (N,T), mask (N,T)) -> (N,), new minus old",
    cases=_log_ratio_cases,
    oracle=_log_ratio_oracle,
    references=("estimators.trajectory_log_ratio", "estimators.log_ratios"),
    accepts=(
        lambda new, old, mask: ((new - old) * mask).sum(1),
        lambda new, old, mask: np.where(mask, new, 0).sum(1) - np.where(mask, old, 0).sum(1),
        lambda new, old, mask: np.einsum("nt,nt->n", new - old, mask),
        lambda new, old, mask: (np.float32(new) - np.float32(old)).sum(1, where=mask),
        _log_ratio_of_one,
        _log_ratio_by_torch,
    ),
    misconceptions=(
        Misconception(
            "old minus new",
            "Every term is there, with the sign turned round. A trajectory that the new policy likes better than the "
            "old one should come out positive.",
            lambda new, old, mask: -_steps(new, old, mask).sum(1),
        ),
        Misconception(
            "ratio instead of its logarithm",
            "You return the ratio itself. Its logarithm is asked, and for a reason: after some hundred steps the ratio "
            "may be too small or too large for a float.",
            lambda new, old, mask: np.exp(_steps(new, old, mask).sum(1)),
        ),
        Misconception(
            "ratio upside down",
            "You return the old likelihood divided by the new one. Two things: which policy is on top, and that the "
            "logarithm of the ratio is asked.",
            lambda new, old, mask: np.exp(-_steps(new, old, mask).sum(1)),
        ),
        Misconception(
            "logarithm of a ratio of products",
            "Right on paper. But several hundred probabilities multiplied are 0 in a computer, so that 0/0 or log 0 "
            "is left. What becomes of a product if you never leave the logarithms?",
            lambda new, old, mask: np.log(
                np.exp(_masked(new, mask)).prod(1) / np.exp(_masked(old, mask)).prod(1),
            ),
        ),
        Misconception(
            "logarithm of a product of ratios",
            "Better than dividing two products: as long as the policies are close. Where they are not, the product of "
            "some hundred ratios is 0, too. Why leave the logarithms at all?",
            lambda new, old, mask: np.log(np.exp(_steps(new, old, mask)).prod(1)),
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
            lambda new, old, mask: _steps(new, old, ~mask).sum(1),
        ),
        Misconception(
            "only one of the two masked",
            "One of the two arrays is masked, the other brings its padding along. A step that never happened is in "
            "neither likelihood.",
            lambda new, old, mask: _masked(new, mask).sum(1) - old.sum(1),
        ),
        Misconception(
            "only the old one masked",
            "The old log-probabilities are masked, the new ones bring their padding along. A step that never happened "
            "is in neither.",
            lambda new, old, mask: new.sum(1) - _masked(old, mask).sum(1),
        ),
        Misconception(
            "mean over the steps",
            "You average over the steps. A trajectory's likelihood is a product over all of them, so its logarithm is "
            "a plain sum, however long it is.",
            lambda new, old, mask: _steps(new, old, mask).sum(1) / mask.sum(1),
        ),
        Misconception(
            "mean over the whole row",
            "You divide by T, padding included. The logarithm of a product is a plain sum: nothing is divided.",
            lambda new, old, mask: _steps(new, old, mask).mean(1),
        ),
        Misconception(
            "one number for each step",
            "These are the log ratios of the steps. A trajectory has one: put its steps together.",
            _steps,
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
            lambda new, old, mask: np.cumsum(_steps(new, old, mask), 1),
        ),
        Misconception(
            "one number for the batch",
            "Everything is added into one number. Each trajectory has a ratio of its own: which axis is time?",
            lambda new, old, mask: _steps(new, old, mask).sum(),
        ),
        Misconception(
            "mean over the batch",
            "You average over the trajectories. Each of them has a ratio of its own.",
            lambda new, old, mask: _steps(new, old, mask).sum(1).mean(),
        ),
        Misconception(
            "summed over the trajectories",
            "You add up along the wrong axis: different trajectories at the same time. A product over *time* is what "
            "makes a likelihood.",
            lambda new, old, mask: _steps(new, old, mask).sum(0),
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
            lambda new, old, mask: _masked(new, mask, 1).prod(1) - _masked(old, mask, 1).prod(1),
        ),
        Misconception(
            "log-likelihoods divided",
            "You divide one log-likelihood by the other. A ratio becomes a difference once you take logarithms.",
            lambda new, old, mask: _masked(new, mask).sum(1) / _masked(old, mask).sum(1),
        ),
        Misconception(
            "log-probabilities divided step by step",
            "You divide logarithms, step by step. A ratio of probabilities is a *difference* of their logarithms.",
            lambda new, old, mask: _masked(new / old, mask).sum(1),
        ),
        Misconception(
            "difference of likelihoods",
            "You subtract likelihoods. The logarithm of their ratio is asked, which is a difference of logarithms.",
            lambda new, old, mask: np.exp(_masked(new, mask).sum(1)) - np.exp(_masked(old, mask).sum(1)),
        ),
        Misconception(
            "new policy only",
            "This is the new policy's log-likelihood. A ratio compares: with what?",
            lambda new, old, mask: _masked(new, mask).sum(1),
        ),
        Misconception(
            "only the last step",
            "Only the last step counts here. Is something overwritten in a loop where it should be added?",
            lambda new, old, mask: _steps(new, old, mask)[np.arange(len(mask)), mask.sum(1) - 1],
        ),
        Misconception(
            "only the first step",
            "Only the first step counts here. Every choice on the way was made by the policy.",
            lambda new, old, mask: _steps(new, old, mask)[:, 0],
        ),
        Misconception(
            "last step missing",
            "The last step of each trajectory is missing: its action was chosen by the policy like all the others.",
            lambda new, old, mask: (
                _steps(new, old, mask).sum(1) - _steps(new, old, mask)[np.arange(len(mask)), mask.sum(1) - 1]
            ),
        ),
    ),
)

# effective_sample_size


def _size_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(log_weights=np.log([1.0, 3.0])),
        case(log_weights=[0.5]),
        case(log_weights=[-1.0, -1.0, -1.0, -1.0]),
        case(log_weights=[0.0, -3000.0]),
        case(log_weights=[0.5, 0.0, 0.0, -1000.0]),
        case(log_weights=[-2000.0, 0.5, 0.0]),
    ]
    for n, scale, spread in ((3, 0, 1.0), (5, 1, 1.5), (8, -2, 2.0), (6, 2000, 1.0), (7, -2000, 1.5), (12, 0, 0.5)):
        cases.append(case(log_weights=scale + rng.normal(size=n) * spread))
    return cases


def _size_oracle(log_weights):
    largest = max(log_weights)
    weights = [math.exp(x - largest) for x in log_weights]
    return math.fsum(weights) ** 2 / math.fsum(w * w for w in weights)


def _relative(log_weights):
    """The weights as multiples of the largest."""
    return np.exp(log_weights - log_weights.max())


def _normalised(log_weights):
    return _relative(log_weights) / _relative(log_weights).sum()


def _size_by_torch(log_weights):
    x = torch.tensor(log_weights)
    return (2 * torch.logsumexp(x, 0) - torch.logsumexp(2 * x, 0)).exp()


def _size_by_softmax(log_weights):
    return 1 / (torch.softmax(torch.tensor(log_weights), 0) ** 2).sum().item()


def _size_by_variance(log_weights):
    w = _normalised(log_weights) * len(log_weights)
    return len(w) / (1 + w.var())


def _plain_size(log_weights):
    w = np.exp(log_weights)
    return w.sum() ** 2 / (w**2).sum()


EFFECTIVE_SAMPLE_SIZE = Exercise(
    name="effective_sample_size",
    lesson=8,
    points=3,
    minutes=12,
    difficulty=2,
    signature="effective_sample_size(log_weights (N,)) -> scalar, for weights of any scale",
    cases=_size_cases,
    oracle=_size_oracle,
    references=("estimators.effective_sample_size",),
    accepts=(
        lambda x: _relative(x).sum() ** 2 / (_relative(x) ** 2).sum(),
        lambda x: 1 / (_normalised(x) ** 2).sum(),
        lambda x: 1 / (_normalised(x) @ _normalised(x)),
        lambda x: float(np.float32(1) / (np.float32(_normalised(x)) ** 2).sum()),
        _size_oracle,
        _size_by_torch,
        _size_by_softmax,
        _size_by_variance,
    ),
    misconceptions=(
        Misconception(
            "exp forgotten",
            "You use the logarithms as if they were the weights. Equal weights, of whatever size, are worth N samples; "
            "try what you return for N zeros.",
            lambda x: x.sum() ** 2 / (x**2).sum(),
        ),
        Misconception(
            "overflow",
            "The formula is right, and the weights do not fit into a float: e^2000 is infinite, e^−2000 is 0. All "
            "weights may be multiplied by one number without changing the answer. Which one helps?",
            _plain_size,
        ),
        Misconception(
            "mean taken off instead of the largest",
            "A shift is the right idea, and the mean is not enough of it: a weight far above the mean still "
            "overflows. Which shift makes sure that no exponent is positive?",
            lambda x: _plain_size(x - x.mean()),
        ),
        Misconception(
            "smallest taken off instead of the largest",
            "A shift is the right idea; yours makes all exponents positive, and a large one overflows. Which shift "
            "makes sure that none is?",
            lambda x: _plain_size(x - x.min()),
        ),
        Misconception(
            "first taken off instead of the largest",
            "A shift is the right idea; taking the first log-weight off helps only if none is far above it. Which "
            "shift makes sure that no exponent is positive?",
            lambda x: _plain_size(x - x[0]),
        ),
        Misconception(
            "upside down",
            "Equal weights should give N, and you return 1/N. Which of the two sums belongs on top?",
            lambda x: 1 / _size_oracle(x),
        ),
        Misconception(
            "sum not squared",
            "Multiply all weights by ten: your result changes, and the number of samples they are worth does not. "
            "Something on top should be squared.",
            lambda x: _relative(x).sum() / (_relative(x) ** 2).sum(),
        ),
        Misconception(
            "squares above and below",
            "The same sum of squares stands above and below the line. Above it, add first and square afterwards.",
            lambda x: (_relative(x) ** 2).sum() / (_relative(x) ** 2).sum(),
        ),
        Misconception(
            "one over the sum of squares, not normalised",
            "1/Σw² is right once the weights sum to one. Yours do not yet.",
            lambda x: 1 / (_relative(x) ** 2).sum(),
        ),
        Misconception(
            "fraction instead of number",
            "You return the share of the samples that counts, a number up to 1. Out of N samples, how many is that?",
            lambda x: _size_oracle(x) / len(x),
        ),
        Misconception(
            "number of samples",
            "You count the samples. The question is how many *equal* ones they are worth: two with weights 1 and 0 are "
            "worth one.",
            lambda x: float(len(x)),
        ),
        Misconception(
            "squares not squared, or the largest weight only",
            "You return the sum of the weights over the largest of them: a measure that looks at a single one. (8.4) "
            "has a square above the line and squares below it.",
            lambda x: 1 / _normalised(x).max(),
        ),
        Misconception(
            "perplexity",
            "The exponential of the entropy of the weights: an honest measure of the same thing, but another one. "
            "(8.4) has squares and no logarithm.",
            lambda x: np.exp(-(_normalised(x) * np.log(_normalised(x))).sum()),
        ),
        Misconception(
            "square root",
            "You return the square root of it. Equal weights should give N: a length is not what is asked.",
            lambda x: math.sqrt(_size_oracle(x)),
        ),
        Misconception(
            "logarithm of it",
            "You return the logarithm of the effective sample size. Staying in logarithms was wise; one exp at the "
            "end is missing.",
            lambda x: math.log(_size_oracle(x)),
        ),
        Misconception(
            "rounded",
            "Rounded to a whole number. An effective sample size need not be one.",
            lambda x: float(round(_size_oracle(x))),
        ),
        Misconception(
            "cut off to a whole number",
            "Cut down to a whole number. An effective sample size need not be one.",
            lambda x: float(int(_size_oracle(x))),
        ),
        Misconception(
            "variance with N − 1",
            "Nearly: N/(1 + variance of the weights over their mean) is (8.4) if the variance divides by N. With N − 1 "
            "it does not match, and one sample gives NaN.",
            lambda x: len(x) / (1 + torch.tensor(_normalised(x) * len(x)).var().item()),
        ),
        Misconception(
            "variance of weights whose mean is not one",
            "N/(1 + variance) holds for weights whose mean is 1. Divide them by their mean first.",
            lambda x: len(x) / (1 + _relative(x).var()),
        ),
        Misconception(
            "absolute values of the logarithms",
            "You work with the logarithms, without their signs. A log-weight of −2 is a weight, too: a small one.",
            lambda x: np.abs(x).sum() ** 2 / (x**2).sum(),
        ),
        Misconception(
            "number of times the mean square",
            "A factor N is left over: with means instead of sums, (mean w)²/mean(w²) is the *share*, and that times N "
            "once is the number. You have it N times too large.",
            lambda x: _size_oracle(x) * len(x),
        ),
        Misconception(
            "normalised weights",
            "You return the weights, normalised. One number is asked: how many equal samples they are worth.",
            _normalised,
        ),
    ),
)

# per_decision_gradient


def _gradient_cases(seed, name, make_weights):
    """Small fixed cases and random ones; `make_weights(rewards, mask)` gives the argument called `name`."""
    rng = np.random.default_rng(seed)
    fixed = case(
        scores=[[[1.0], [-2.0]]],
        new_log_probs=np.log([[0.5, 0.25]]),
        old_log_probs=np.log([[0.25, 0.5]]),
        **{name: make_weights(np.array([[3.0, 4.0]]), mask_of([2]))},
        mask=mask_of([2]),
    )
    single = case(
        scores=[[[1.0, -0.5]]],
        new_log_probs=[[-0.25]],
        old_log_probs=[[-1.0]],
        **{name: make_weights(np.array([[-2.0]]), mask_of([1]))},
        mask=mask_of([1]),
    )
    cases = [fixed, single]
    for num_trajectories, num_steps in SHAPES:
        mask = random_mask(rng, num_trajectories, num_steps)
        size = int(rng.integers(2, 5))
        scores = with_garbage(rng, rng.normal(size=(*mask.shape, size)), mask, 100)
        new, old = _log_probs(rng, mask)
        weights = with_garbage(rng, make_weights(rewards_like(rng, *mask.shape), mask), mask, 100)
        cases.append(case(scores=scores, new_log_probs=new, old_log_probs=old, **{name: weights}, mask=mask))
    return cases


def _per_decision_cases(seed):
    return _gradient_cases(seed, "rewards", lambda rewards, mask: rewards)


def _per_decision_oracle(scores, new_log_probs, old_log_probs, rewards, mask):
    total = np.zeros(scores.shape[2])
    for i in range(len(mask)):
        steps = [t for t in range(mask.shape[1]) if mask[i, t]]
        for t in steps:
            weight = 0.0
            for later in steps[t:]:
                ratio = 1.0
                for k in steps[: later + 1]:
                    ratio *= math.exp(new_log_probs[i, k] - old_log_probs[i, k])
                weight += ratio * rewards[i, later]
            total += weight * scores[i, t]
    return total / len(mask)


def _to_go(rewards):
    return np.cumsum(rewards[:, ::-1], 1)[:, ::-1]


def _mean_of(scores, weights):
    return np.einsum("ntp,nt->p", scores, weights) / len(weights)


def _per_decision(weigh):
    """An answer (P,) whose weights are weigh(ρ (N, T), rewards (N, T)): ρ is 1 and rewards are 0 in the padding."""

    def answer(scores, new, old, rewards, mask):
        weights = weigh(np.exp(_steps(new, old, mask)), _masked(rewards, mask))
        return _mean_of(_masked(scores, mask), weights)

    return answer


def _weights(rho, r):
    return _to_go(np.cumprod(rho, 1) * r)


def _right(scores, new, old, rewards, mask):
    return _per_decision(_weights)(scores, new, old, rewards, mask)


def _products_from(rho, r, first):
    """w_t = Σ_{t'≥t} r_t' Π ρ_k over k from first(t) to t'."""
    num_steps = rho.shape[1]
    weights = np.zeros_like(r)
    for t in range(num_steps):
        for later in range(t, num_steps):
            weights[:, t] += r[:, later] * rho[:, first(t) : later + 1].prod(1)
    return weights


def _per_decision_by_running_product(scores, new, old, rewards, mask):
    total = 0
    for i in range(len(mask)):
        ratio, so_far = 1.0, np.zeros(scores.shape[2])
        for t in np.flatnonzero(mask[i]):
            ratio *= np.exp(new[i, t] - old[i, t])
            so_far = so_far + scores[i, t]  # the sum of the scores that led to this reward
            total = total + so_far * ratio * rewards[i, t]
    return total / len(mask)


def _per_decision_by_torch(scores, new, old, rewards, mask):
    scores, new, old, rewards, mask = (torch.from_numpy(x) for x in (scores, new, old, rewards, mask))
    weighted = torch.exp(torch.cumsum((new - old) * mask, 1)) * rewards * mask
    to_go = weighted.flip(1).cumsum(1).flip(1)
    return (scores * (to_go * mask)[..., None]).sum(1).mean(0)


def _per_decision_by_triangle(scores, new, old, rewards, mask):
    reaches = np.triu(np.ones((mask.shape[1],) * 2))
    weights = (np.exp(((new - old) * mask) @ reaches) * rewards * mask) @ reaches.T
    return np.einsum("ntp,nt,nt->p", scores, weights, mask) / len(mask)


def _without_mask(scores, new, old, rewards, mask):
    return _mean_of(scores, _weights(np.exp(new - old), rewards))


RATIO_UPSIDE_DOWN = (
    "Your ratios are old over new. A step that the new policy likes better than the old one should count for more "
    "than one."
)

PER_DECISION_GRADIENT = Exercise(
    name="per_decision_gradient",
    lesson=8,
    points=5,
    minutes=25,
    difficulty=3,
    signature=(
        "per_decision_gradient(scores (N,T,P), new_log_probs (N,T), old_log_probs (N,T), rewards (N,T), mask (N,T)) "
        "-> (P,); scores of the new policy"
    ),
    cases=_per_decision_cases,
    oracle=_per_decision_oracle,
    references=("estimators.per_decision_weights",),
    accepts=(
        _right,
        lambda *arguments: _right(*arguments).tolist(),
        lambda *arguments: np.float32(_right(*arguments)),
        _per_decision_by_running_product,
        _per_decision_by_torch,
        _per_decision_by_triangle,
        lambda s, new, old, r, mask: _per_decision(_weights)(s, new * mask, old * mask, r * mask, mask),
    ),
    misconceptions=(
        Misconception(
            "own ratio counted twice",
            "Look at ρ_t, the ratio of the step whose score it is: here it comes in twice, once with what led to t and "
            "once with what follows. Count each ratio once.",
            _per_decision(lambda rho, r: rho * _weights(rho, r)),
        ),
        Misconception(
            "every ratio up to t counted twice",
            "The product up to t stands before the sum *and* inside it: each of these ratios counts twice.",
            _per_decision(lambda rho, r: np.cumprod(rho, 1) * _weights(rho, r)),
        ),
        Misconception(
            "ratio omitted",
            "These are rewards to go as if the new policy had sampled them. Where do the two policies' "
            "log-probabilities come in?",
            _per_decision(lambda rho, r: _to_go(r)),
        ),
        Misconception(
            "ratio upside down",
            RATIO_UPSIDE_DOWN,
            _per_decision(lambda rho, r: _weights(1 / rho, r)),
        ),
        Misconception(
            "first order",
            "One ratio, ρ_t, for all of the reward to go: that is (8.6), which comes next and is biased. Here a reward "
            "is weighted with everything that led to it.",
            _per_decision(lambda rho, r: rho * _to_go(r)),
        ),
        Misconception(
            "product up to t only",
            "You weight the whole reward to go with the product up to t. A reward at t' > t depends on choices after t "
            "as well: until when must *its* product run?",
            _per_decision(lambda rho, r: np.cumprod(rho, 1) * _to_go(r)),
        ),
        Misconception(
            "whole trajectory's weight",
            "You weight every reward with the whole trajectory's ratio. That is unbiased, too, (8.2); here a reward is "
            "not to be bothered with ratios that come after it.",
            _per_decision(lambda rho, r: rho.prod(1, keepdims=True) * _to_go(r)),
        ),
        Misconception(
            "whole trajectory's weight and full return",
            "This is (8.2): one weight and one return for all steps. Two things are left to do: one is lesson 6's, the "
            "other this lesson's.",
            _per_decision(lambda rho, r: rho.prod(1, keepdims=True) * r.sum(1, keepdims=True) + 0 * r),
        ),
        Misconception(
            "rewards before t included",
            "The weights of the rewards are right, and each score gets all of them, those from before t included. "
            "Lesson 6 said which rewards a choice can influence.",
            _per_decision(lambda rho, r: (np.cumprod(rho, 1) * r).sum(1, keepdims=True) + 0 * r),
        ),
        Misconception(
            "rewards up to t instead of from t on",
            "You accumulate from the front: each score gets the rewards that came *before* it. Which can its action "
            "still influence?",
            _per_decision(lambda rho, r: np.cumsum(np.cumprod(rho, 1) * r, 1)),
        ),
        Misconception(
            "time left reversed",
            "You reverse time to sum from the right, and do not turn it back: the first step gets what belongs to the "
            "last.",
            _per_decision(lambda rho, r: _weights(rho, r)[:, ::-1]),
        ),
        Misconception(
            "own reward left out",
            "The reward of the step itself is missing: a_t earns r_t, so the sum begins with t' = t.",
            _per_decision(lambda rho, r: _weights(rho, r) - np.cumprod(rho, 1) * r),
        ),
        Misconception(
            "own reward only",
            "Each score gets its own step's reward and none of the later ones. What an action earns may come later.",
            _per_decision(lambda rho, r: np.cumprod(rho, 1) * r),
        ),
        Misconception(
            "product begins at t",
            "Your products run from t to t'. What the new policy would have done before t matters, too: would it have "
            "come here at all?",
            _per_decision(lambda rho, r: _products_from(rho, r, lambda t: t)),
        ),
        Misconception(
            "product begins after t",
            "Your products run from t + 1 to t'. All choices that led to the reward belong in: those before t, and the "
            "one at t itself.",
            _per_decision(lambda rho, r: _products_from(rho, r, lambda t: t + 1)),
        ),
        Misconception(
            "the reward's own ratio left out",
            "Your product ends one step too early: the reward r_t' is earned by the action at t', and its ratio is not "
            "in it.",
            _per_decision(lambda rho, r: _to_go(np.cumprod(rho, 1) / rho * r)),
        ),
        Misconception(
            "a single ratio for each reward",
            "Each reward is weighted with the ratio of its own step. But the new policy would have to *get* there "
            "first: what about the steps before?",
            _per_decision(lambda rho, r: _to_go(rho * r)),
        ),
        Misconception(
            "product from t' to the end",
            "Your products run backwards: a reward is weighted with what comes after it. What comes before it decides "
            "how likely the new policy is to get it.",
            _per_decision(lambda rho, r: _to_go(np.cumprod(rho[:, ::-1], 1)[:, ::-1] * r)),
        ),
        Misconception(
            "ratios added instead of multiplied",
            "You add up ratios. Choices multiply, as probabilities do; it is their logarithms that add.",
            _per_decision(lambda rho, r: _to_go(np.cumsum(rho, 1) * r)),
        ),
        Misconception(
            "exp forgotten",
            "Your weights are sums of log ratios, which are 0 where the policies agree. An exp turns them back into "
            "weights, which are 1 there.",
            _per_decision(lambda rho, r: _to_go(np.cumsum(np.log(rho), 1) * r)),
        ),
        Misconception(
            "logarithms divided",
            "You multiply quotients of log-probabilities. A ratio of probabilities is a *difference* of logarithms, "
            "and then an exp.",
            lambda s, new, old, r, mask: _mean_of(
                _masked(s, mask), _weights(_masked(new / old, mask, 1.0), _masked(r, mask))
            ),
        ),
        Misconception(
            "new policy's probabilities without the old",
            "You multiply by the new policy's probabilities. The old policy's sampling favours its own habits already: "
            "what undoes that?",
            lambda s, new, old, r, mask: _per_decision(_weights)(s, new, 0 * old, r, mask),
        ),
        Misconception(
            "sum without 1/N",
            "The terms are right; they are only added up. An expectation is estimated by an average over trajectories.",
            lambda s, new, old, r, mask: _right(s, new, old, r, mask) * len(mask),
        ),
        Misconception(
            "mean over all steps",
            "You divide by the number of steps. The average runs over trajectories; along time the formula has sums.",
            lambda s, new, old, r, mask: _right(s, new, old, r, mask) * len(mask) / mask.sum(),
        ),
        Misconception(
            "mean over the whole array",
            "You divide by N·T. The average runs over trajectories; along time the formula has sums.",
            lambda s, new, old, r, mask: _right(s, new, old, r, mask) / mask.shape[1],
        ),
        Misconception(
            "self-normalised",
            "You divide by the sum of the trajectories' weights. That has less variance and is biased; the formula "
            "divides by N.",
            lambda s, new, old, r, mask: (
                _right(s, new, old, r, mask) * len(mask) / np.exp(_steps(new, old, mask)).prod(1).sum()
            ),
        ),
        Misconception(
            "descent",
            "Turned round: this points downhill. The minus belongs to a loss; here the gradient itself is asked.",
            lambda s, new, old, r, mask: -_right(s, new, old, r, mask),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part, with whatever the padding holds. Which of your arrays need the mask?",
            _without_mask,
        ),
        Misconception(
            "mask on the scores only",
            "The scores are masked, but the padding's rewards are still summed into the rewards to go of real steps.",
            lambda s, new, old, r, mask: _without_mask(_masked(s, mask), new, old, r, mask),
        ),
        Misconception(
            "mask on the scores and ratios only",
            "The padding's rewards are still summed into the rewards to go of real steps. A step that never happened "
            "pays nothing.",
            lambda s, new, old, r, mask: _mean_of(_masked(s, mask), _weights(np.exp(_steps(new, old, mask)), r)),
        ),
        Misconception(
            "one row for each trajectory",
            "You return a gradient for each trajectory. Their average is asked.",
            lambda s, new, old, r, mask: np.einsum(
                "ntp,nt->np", _masked(s, mask), _weights(np.exp(_steps(new, old, mask)), _masked(r, mask))
            ),
        ),
        Misconception(
            "trajectories and time exchanged",
            "Your products or sums run along the first axis: over trajectories. Time is the second.",
            _per_decision(
                lambda rho, r: np.cumsum((np.cumprod(rho, 0) * r)[::-1], 0)[::-1]  # as _weights, along axis 0
            ),
        ),
        Misconception(
            "product along the trajectories, sum along time",
            "Your products run over different trajectories, which know nothing of each other. Both the product and "
            "the sum run along time, the second axis.",
            _per_decision(lambda rho, r: _to_go(np.cumprod(rho, 0) * r)),
        ),
        Misconception(
            "product along time, sum along the trajectories",
            "Your rewards to go add up different trajectories. Both the product and the sum run along time, the second "
            "axis.",
            _per_decision(lambda rho, r: np.cumsum((np.cumprod(rho, 1) * r)[::-1], 0)[::-1]),
        ),
    ),
)

# first_order_gradient


def _first_order_cases(seed):
    return _gradient_cases(seed, "rewards_to_go", lambda rewards, mask: _to_go(_masked(rewards, mask)))


def _first_order_oracle(scores, new_log_probs, old_log_probs, rewards_to_go, mask):
    total = np.zeros(scores.shape[2])
    for i, t in np.argwhere(mask):
        ratio = math.exp(new_log_probs[i, t] - old_log_probs[i, t])
        total += ratio * rewards_to_go[i, t] * scores[i, t]
    return total / len(mask)


def _first_order(scores, new, old, returns, mask):
    return _per_decision(lambda rho, g: rho * g)(scores, new, old, returns, mask)


def _first_order_by_torch(scores, new, old, returns, mask):
    """Through the objective whose gradient it is, with log π linear in a pretended θ."""
    scores, new, old, returns, mask = (torch.from_numpy(x) for x in (scores, new, old, returns, mask))
    theta = torch.zeros(scores.shape[2], dtype=torch.float64, requires_grad=True)
    ratio = torch.exp((new + scores @ theta - old)[mask])
    ((ratio * returns[mask]).sum() / len(mask)).backward()
    return theta.grad


def _first_order_of_steps(scores, new, old, returns, mask):
    return (np.exp(new - old)[mask] * returns[mask]) @ scores[mask] / len(mask)


FIRST_ORDER_GRADIENT = Exercise(
    name="first_order_gradient",
    lesson=8,
    points=4,
    minutes=15,
    difficulty=3,
    signature=(
        "first_order_gradient(scores (N,T,P), new_log_probs (N,T), old_log_probs (N,T), rewards_to_go (N,T), "
        "mask (N,T)) -> (P,); scores of the new policy"
    ),
    cases=_first_order_cases,
    oracle=_first_order_oracle,
    references=("estimators.first_order_weights",),
    accepts=(
        _first_order,
        lambda *arguments: _first_order(*arguments).tolist(),
        lambda *arguments: np.float32(_first_order(*arguments)),
        lambda s, new, old, g, mask: (s * (np.exp(new - old) * g * mask)[..., None]).sum((0, 1)) / len(s),
        lambda s, new, old, g, mask: np.einsum("ntp,nt,nt,nt->np", s, np.exp(new - old), g, mask).mean(0),
        _first_order_by_torch,
        _first_order_of_steps,
    ),
    misconceptions=(
        Misconception(
            "ratio omitted",
            "This is the gradient as if the new policy had sampled the data. Where do the two policies' "
            "log-probabilities come in?",
            _per_decision(lambda rho, g: g),
        ),
        Misconception(
            "ratio upside down",
            RATIO_UPSIDE_DOWN + " Which of the two policies belongs on top?",
            _per_decision(lambda rho, g: g / rho),
        ),
        Misconception(
            "exp forgotten",
            "You multiply by log ρ_t, which is 0 where the policies agree: there the data would teach nothing. An exp "
            "is missing.",
            _per_decision(lambda rho, g: np.log(rho) * g),
        ),
        Misconception(
            "logarithms divided",
            "You divide one log-probability by the other. A ratio of probabilities is a *difference* of logarithms, "
            "and then an exp.",
            lambda s, new, old, g, mask: _mean_of(_masked(s, mask), _masked(new / old * g, mask)),
        ),
        Misconception(
            "product up to t",
            "You multiply all ratios up to t. That was the form before; the first-order one keeps a single ratio, that "
            "of the step itself.",
            _per_decision(lambda rho, g: np.cumprod(rho, 1) * g),
        ),
        Misconception(
            "whole trajectory's weight",
            "Every step gets the ratio of the whole trajectory. That is unbiased, (8.2), and noisy; the first-order "
            "form keeps only the step's own ratio.",
            _per_decision(lambda rho, g: rho.prod(1, keepdims=True) * g),
        ),
        Misconception(
            "product from t on",
            "You multiply the ratios from t to the end. The first-order form keeps a single one, that of the step "
            "itself.",
            _per_decision(lambda rho, g: np.cumprod(rho[:, ::-1], 1)[:, ::-1] * g),
        ),
        Misconception(
            "ratios added up to t",
            "You add up ratios along the trajectory. Each step keeps its own, and only that.",
            _per_decision(lambda rho, g: np.cumsum(rho, 1) * g),
        ),
        Misconception(
            "one ratio for each trajectory, their mean",
            "Each trajectory gets the mean of its ratios. The ratio belongs to the step: keep it beside the score of "
            "that step.",
            lambda s, new, old, g, mask: _mean_of(
                _masked(s, mask),
                _masked(g, mask) * ((np.exp(new - old) * mask).sum(1) / mask.sum(1))[:, None],
            ),
        ),
        Misconception(
            "ratio minus one",
            "You multiply by ρ_t − 1, so that data on which the policies agree would teach nothing. The ratio itself "
            "is the weight.",
            _per_decision(lambda rho, g: (rho - 1) * g),
        ),
        Misconception(
            "ratio squared",
            "ρ_t comes in twice. If you differentiate the ratio and multiply by it as well: the scores you are given "
            "are those of log π, so one ratio is left.",
            _per_decision(lambda rho, g: rho**2 * g),
        ),
        Misconception(
            "ratio clipped",
            "You clip the ratio, as PPO does further down. Here it is asked as it is.",
            _per_decision(lambda rho, g: np.clip(rho, 0.8, 1.2) * g),
        ),
        Misconception(
            "new policy's probability without the old",
            "You multiply by the new policy's probability. The old policy's sampling favours its own habits already: "
            "what undoes that?",
            lambda s, new, old, g, mask: _first_order(s, new, 0 * old, g, mask),
        ),
        Misconception(
            "old policy's probability divided out, the new one forgotten",
            "You divide by the old policy's probability and stop there. The new policy's belongs on top.",
            lambda s, new, old, g, mask: _first_order(s, 0 * new, old, g, mask),
        ),
        Misconception(
            "returns left out",
            "There is no return in it: good and bad steps are treated alike.",
            _per_decision(lambda rho, g: rho),
        ),
        Misconception(
            "rewards to go summed again",
            "rewards_to_go is summed already. You add it up along time once more.",
            _per_decision(lambda rho, g: rho * _to_go(g)),
        ),
        Misconception(
            "ratio inside the reward to go",
            "You sum ρ times the reward to go along time, as if they were single rewards. Each step's ratio multiplies "
            "that step's own G_t, and no other.",
            _per_decision(lambda rho, g: _to_go(rho * g)),
        ),
        Misconception(
            "the whole return at every step",
            "Every step gets the first reward to go, the return of the whole trajectory. G_t is given step by step.",
            _per_decision(lambda rho, g: rho * g[:, :1]),
        ),
        Misconception(
            "sum without 1/N",
            "The terms are right; they are only added up. What is the average over?",
            lambda *arguments: _first_order(*arguments) * len(arguments[-1]),
        ),
        Misconception(
            "mean over all steps",
            "You divide by the number of steps that happened. The formula averages over trajectories and sums over "
            "time.",
            lambda *arguments: _first_order(*arguments) * len(arguments[-1]) / arguments[-1].sum(),
        ),
        Misconception(
            "mean over the whole array",
            "You divide by N·T, padding included. The formula averages over trajectories and sums over time.",
            lambda *arguments: _first_order(*arguments) / arguments[-1].shape[1],
        ),
        Misconception(
            "mean within each trajectory",
            "You average over each trajectory's own steps, so long ones count less. Along time the formula has a sum.",
            lambda s, new, old, g, mask: _mean_of(
                _masked(s, mask), _masked(np.exp(new - old) * g, mask) / mask.sum(1, keepdims=True)
            ),
        ),
        Misconception(
            "self-normalised",
            "You divide by the sum of the ratios. The formula divides by the number of trajectories.",
            lambda s, new, old, g, mask: (
                _first_order(s, new, old, g, mask) * len(mask) / (np.exp(new - old) * mask).sum()
            ),
        ),
        Misconception(
            "descent",
            "Turned round: this points downhill. A loss would have that sign; here the gradient itself is asked.",
            lambda *arguments: -_first_order(*arguments),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part, with whatever the padding holds.",
            lambda s, new, old, g, mask: _mean_of(s, np.exp(new - old) * g),
        ),
        Misconception(
            "mask the wrong way round",
            "Only the padding takes part. What does True in the mask stand for?",
            lambda s, new, old, g, mask: _mean_of(s, np.exp(new - old) * g * ~mask),
        ),
        Misconception(
            "ratio masked, the rest not",
            "In the padding your ratio is 1, not 0, because exp(0) = 1: the garbage there still gets through. "
            "Something else in the product has to be zero.",
            lambda s, new, old, g, mask: _mean_of(s, np.exp(_steps(new, old, mask)) * g),
        ),
        Misconception(
            "one row for each trajectory",
            "You return a gradient for each trajectory. Their average is asked.",
            lambda s, new, old, g, mask: np.einsum("ntp,nt->np", s, _masked(np.exp(new - old) * g, mask)),
        ),
        Misconception(
            "one row for each step",
            "You return something for every step. Two sums are open: one over time, and an average over trajectories.",
            lambda s, new, old, g, mask: s * _masked(np.exp(new - old) * g, mask)[..., None],
        ),
    ),
)

# reuse_batch, a bug hunt: two names for one array


def _reuse_cases(seed):
    rng = np.random.default_rng(seed)
    levers = {"states": np.zeros((2, 1), dtype=int), "actions": [[0], [1]], "mask": mask_of([1, 1])}
    cases = [
        case(theta=[[0.0, 0.0]], **levers, rewards_to_go=[[1.0], [2.0]], learning_rate=1.0, steps=2),
        case(theta=[[0.0, 0.5]], **levers, rewards_to_go=[[-1.0], [1.5]], learning_rate=0.5, steps=1),
    ]
    for (num_trajectories, num_steps), steps in zip(SHAPES, (1, 2, 3, 2, 4, 3), strict=True):
        mask = random_mask(rng, num_trajectories, num_steps)
        num_states, num_actions = (int(n) for n in rng.integers(2, 4, 2))
        theta = rng.normal(size=(num_states, num_actions)) / 2
        states, actions = (rng.integers(n, size=mask.shape) for n in theta.shape)
        returns = with_garbage(rng, _to_go(_masked(rewards_like(rng, *mask.shape), mask)), mask, 100)
        rate = float(1.5 / (np.abs(returns) * mask).sum(1).max())
        cases.append(
            case(
                theta=theta,
                states=states,
                actions=actions,
                mask=mask,
                rewards_to_go=returns,
                learning_rate=rate,
                steps=steps,
            )
        )
    return cases


def _softmax_row(row):
    powers = [math.exp(x) for x in row]
    return [x / sum(powers) for x in powers]


def _reuse_oracle(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    old = [_softmax_row(row) for row in theta]
    theta = [list(row) for row in theta]
    for _ in range(steps):
        new = [_softmax_row(row) for row in theta]
        for i, t in np.argwhere(mask):
            s, a = states[i, t], actions[i, t]
            pull = learning_rate * new[s][a] / old[s][a] * rewards_to_go[i, t] / len(mask)
            for b in range(len(theta[s])):
                theta[s][b] += pull * ((b == a) - new[s][b])
    return theta


def _softmax(table):
    return np.exp(table) / np.exp(table).sum(1, keepdims=True)


def _reuse(weigh, score=None, sign=1, scale=None):
    """An answer whose steps weigh G_t with weigh(new, old, before, s, a): π's of now, of the data, of a step ago.

    score: which policy's scores, (new, old) → π; scale: what the sum over steps is divided by, mask → number.
    """

    def answer(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
        s, a, returns = states[mask], actions[mask], rewards_to_go[mask]
        old = before = _softmax(theta)
        for _ in range(steps):
            new = _softmax(theta)
            weights = weigh(new, old, before, s, a) * returns
            scores = np.eye(theta.shape[1])[a] - (new if score is None else score(new, old))[s]
            gradient = np.zeros_like(theta)
            np.add.at(gradient, s, scores * weights[:, None])
            theta = theta + sign * learning_rate * gradient / (len(mask) if scale is None else scale(mask))
            before = new
        return theta

    return answer


def _ratio(new, old, before, s, a):
    return new[s, a] / old[s, a]


_reuse_right = _reuse(_ratio)


def _reuse_by_torch(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    theta = torch.tensor(theta)
    s, a, returns = (torch.tensor(x)[torch.tensor(mask)] for x in (states, actions, rewards_to_go))
    old_log_probs = theta.log_softmax(1)[s, a]
    for _ in range(steps):
        theta = theta.detach().requires_grad_()
        ratio = torch.exp(theta.log_softmax(1)[s, a] - old_log_probs)
        ((ratio * returns).sum() / len(mask)).backward()
        theta = theta + learning_rate * theta.grad
    return theta


def _reuse_with(change):
    """The right answer with other inputs: change(dictionary of them) in place."""

    def answer(*arguments):
        names = ("theta", "states", "actions", "mask", "rewards_to_go", "learning_rate", "steps")
        given = dict(zip(names, arguments, strict=True))
        change(given)
        return _reuse_right(**given)

    return answer


def _in_place(theta, *rest):
    theta += _reuse_right(theta.copy(), *rest) - theta
    return theta


def _gradient_piles_up(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    s, a, returns = states[mask], actions[mask], rewards_to_go[mask]
    old, gradient = _softmax(theta), np.zeros_like(theta)
    for _ in range(steps):
        new = _softmax(theta)
        scores = np.eye(theta.shape[1])[a] - new[s]
        np.add.at(gradient, s, scores * (new[s, a] / old[s, a] * returns)[:, None])
        theta = theta + learning_rate * gradient / len(mask)
    return theta


def _moves_within_the_sum(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    theta, old = theta.copy(), _softmax(theta)
    for _ in range(steps):
        for i, t in np.argwhere(mask):
            s, a = states[i, t], actions[i, t]
            new = _softmax(theta)[s]
            ratio = new[a] / old[s, a]
            theta[s] += learning_rate * ratio * rewards_to_go[i, t] * (np.eye(len(new))[a] - new) / len(mask)
    return theta


def _repeated_index_lost(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    s, a, returns = states[mask], actions[mask], rewards_to_go[mask]
    old = _softmax(theta)
    for _ in range(steps):
        new, gradient = _softmax(theta), np.zeros_like(theta)
        gradient[s] += (np.eye(theta.shape[1])[a] - new[s]) * (new[s, a] / old[s, a] * returns)[:, None]
        theta = theta + learning_rate * gradient / len(mask)
    return theta


def _logit_ratio(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    s, a, returns = states[mask], actions[mask], rewards_to_go[mask]
    old = theta
    for _ in range(steps):
        new, gradient = _softmax(theta), np.zeros_like(theta)
        weights = np.exp(theta - old)[s, a] * returns
        np.add.at(gradient, s, (np.eye(theta.shape[1])[a] - new[s]) * weights[:, None])
        theta = theta + learning_rate * gradient / len(mask)
    return theta


def _whole_ratio(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    old = _softmax(theta)
    for _ in range(steps):
        new, gradient = _softmax(theta), np.zeros_like(theta)
        ratio = _masked((new / old)[states, actions], mask, 1.0).prod(1, keepdims=True)
        weights = (ratio * rewards_to_go)[mask]
        scores = np.eye(theta.shape[1])[actions[mask]] - new[states[mask]]
        np.add.at(gradient, states[mask], scores * weights[:, None])
        theta = theta + learning_rate * gradient / len(mask)
    return theta


def _ones(new, old, before, s, a):
    return np.ones(len(s))


REUSE_BATCH = Exercise(
    name="reuse_batch",
    lesson=8,
    points=3,
    minutes=15,
    difficulty=2,
    signature=(
        "reuse_batch(theta (S,A), states (N,T), actions (N,T), mask (N,T), rewards_to_go (N,T), learning_rate, steps) "
        "-> (S,A), theta after `steps` first-order steps on one batch that the given theta sampled"
    ),
    cases=_reuse_cases,
    oracle=_reuse_oracle,
    accepts=(
        _reuse_right,
        lambda *arguments: _reuse_right(*arguments).tolist(),
        lambda *arguments: np.float32(_reuse_right(*arguments)),
        _reuse(lambda new, old, before, s, a: np.exp(np.log(new[s, a]) - np.log(old)[s, a])),
        _reuse_by_torch,
    ),
    misconceptions=(
        Misconception(
            "ratio always one",
            "Every step after the first is still taken as if the batch were fresh: the ratio is 1 all the way. Print "
            "it in each round. Which two things does it compare?",
            _reuse(_ones),
        ),
        Misconception(
            "compared with the step before",
            "The ratio compares with the policy of one step ago. Who sampled the batch?",
            _reuse(lambda new, old, before, s, a: new[s, a] / before[s, a]),
        ),
        Misconception(
            "ratio upside down",
            "Now the ratio moves, the wrong way up: an action that has become likelier since the batch was sampled "
            "should count for more than one.",
            _reuse(lambda new, old, before, s, a: old[s, a] / new[s, a]),
        ),
        Misconception(
            "ratio of logarithms",
            "You divide log-probabilities. The ratio of the probabilities is asked.",
            _reuse(lambda new, old, before, s, a: np.log(new[s, a]) / np.log(old[s, a])),
        ),
        Misconception(
            "ratio of logits",
            "You compare logits, not probabilities. They are not normalised: what else has changed in that row?",
            _logit_ratio,
        ),
        Misconception(
            "old policy's scores",
            "The ratio is right now, but the scores are those of the policy that sampled. The direction in which the "
            "*present* policy can still move is that of its own scores.",
            _reuse(_ratio, score=lambda new, old: old),
        ),
        Misconception(
            "the first step repeated",
            "All your steps are the first one over again: ratio and scores both stay with the policy that sampled. "
            "Recompute what belongs to the present policy in each round.",
            _reuse(_ones, score=lambda new, old: old),
        ),
        Misconception(
            "whole trajectory's ratio",
            "You use the ratio of the whole trajectory. A fine idea, (8.2); here each step's own ratio is asked, the "
            "first-order form.",
            _whole_ratio,
        ),
        Misconception(
            "ratio clipped",
            "You clip the ratio, which is not the bug. The function is to take plain first-order steps.",
            _reuse(lambda new, old, before, s, a: np.clip(new[s, a] / old[s, a], 0.8, 1.2)),
        ),
        Misconception(
            "ratio squared",
            "The ratio comes in twice. Differentiating π'/π gives ρ times the score, with one ρ.",
            _reuse(lambda new, old, before, s, a: (new[s, a] / old[s, a]) ** 2),
        ),
        Misconception(
            "new probability without the old",
            "You weigh with the present policy's probability and do not divide by the old one's. Sampling has brought "
            "that in already.",
            _reuse(lambda new, old, before, s, a: new[s, a]),
        ),
        Misconception(
            "sum without 1/N",
            "The ratio is right. The average over the trajectories has become a sum on the way.",
            _reuse(_ratio, scale=lambda mask: 1),
        ),
        Misconception(
            "mean over all steps",
            "The ratio is right. But the buggy function divides by the number of trajectories, and yours by the number "
            "of steps.",
            _reuse(_ratio, scale=lambda mask: mask.sum()),
        ),
        Misconception(
            "descent",
            "The ratio is right, and your steps lead downhill. The function climbs.",
            _reuse(_ratio, sign=-1),
        ),
        Misconception(
            "mask forgotten",
            "Padding takes part. The buggy function picks the steps that happened first; keep that.",
            _reuse_with(lambda given: given.update(mask=np.ones_like(given["mask"]))),
        ),
        Misconception(
            "a single step",
            "Only one step is taken, however many are asked for. Is there a return inside the loop?",
            _reuse_with(lambda given: given.update(steps=1)),
        ),
        Misconception(
            "one step too many",
            "One step too many: `steps` says how often the batch is used.",
            _reuse_with(lambda given: given.update(steps=given["steps"] + 1)),
        ),
        Misconception(
            "change instead of the new parameters",
            "You return by how much θ has changed. The new θ is asked.",
            lambda theta, *rest: _reuse_right(theta, *rest) - theta,
        ),
        Misconception(
            "the given theta changed",
            "The ratio is right now, but the caller's own array has changed under their hands. It was a copy that "
            "protected it: two things need to be kept apart here, not one.",
            _in_place,
        ),
        Misconception(
            "gradient piles up",
            "Your gradient is not set back to zero: each step repeats all those before it.",
            _gradient_piles_up,
        ),
        Misconception(
            "theta moves within the sum",
            "Within one pass over the batch θ moves already, sample by sample: the bug of lesson 4. One step is one "
            "gradient of the whole batch.",
            _moves_within_the_sum,
        ),
        Misconception(
            "repeated states counted once",
            "gradient[s] += … counts a state that occurs several times only once. That is what np.add.at is there for.",
            _repeated_index_lost,
        ),
        Misconception(
            "nothing moves",
            "θ comes back as it went in. Either your step arrives nowhere, or its weight is 0: a log ratio is, before "
            "anything has moved.",
            lambda theta, *rest: theta,
        ),
    ),
)

EXERCISES = [
    IMPORTANCE_SAMPLING_MEAN,
    TRAJECTORY_LOG_RATIO,
    EFFECTIVE_SAMPLE_SIZE,
    PER_DECISION_GRADIENT,
    FIRST_ORDER_GRADIENT,
    REUSE_BATCH,
]
