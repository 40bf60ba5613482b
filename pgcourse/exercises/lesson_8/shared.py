"""What several exercises of this lesson use."""

import numpy as np

from pgcourse.exercises.cases import case, mask_of, random_masks, rewards_like, with_garbage


def log_prob_pair(rng, mask):
    """New and old log-probabilities (N, T), garbage in the padding; no ratio is near 1."""
    old = -rng.uniform(0.8, 2.0, mask.shape)
    new = old + rng.choice([-1, 1], mask.shape) * rng.uniform(0.2, 0.7, mask.shape)
    return [with_garbage(rng, x, mask, 10) for x in (new, old)]


def masked(values, mask, padding=0.0):
    return np.where(mask.reshape(mask.shape + (1,) * (values.ndim - 2)), values, padding)


def log_rhos(new, old, mask):
    """log ρ_t, (N, T), zero in the padding."""
    return masked(new - old, mask)


def gradient_cases(seed, name, make_weights):
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
    for mask in random_masks(rng):
        size = int(rng.integers(2, 5))
        scores = with_garbage(rng, rng.normal(size=(*mask.shape, size)), mask, 100)
        new, old = log_prob_pair(rng, mask)
        weights = with_garbage(rng, make_weights(rewards_like(rng, *mask.shape), mask), mask, 100)
        cases.append(case(scores=scores, new_log_probs=new, old_log_probs=old, **{name: weights}, mask=mask))
    return cases


def mean_of(scores, weights):
    return np.einsum("ntp,nt->p", scores, weights) / len(weights)


def per_decision(weigh):
    """An answer (P,) whose weights are weigh(ρ (N, T), rewards (N, T)): ρ is 1 and rewards are 0 in the padding."""

    def answer(scores, new, old, rewards, mask):
        weights = weigh(np.exp(log_rhos(new, old, mask)), masked(rewards, mask))
        return mean_of(masked(scores, mask), weights)

    return answer


RATIO_UPSIDE_DOWN = (
    "Your ratios are old over new. A step that the new policy likes better than the old one should count for more "
    "than one."
)
