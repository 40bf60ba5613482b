import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.pieces import standardised


def _reinforce_cases(seed):
    """The world has T steps with a row of A logits each, and `sample` is rebuilt from uniforms: see calling."""
    rng = np.random.default_rng(seed)
    one = {"learning_rate": 1.0, "iterations": 1}
    cases = [
        _reinforce_case([0.0, 0.0], [[[0.3], [0.6]], [[0.1], [0.1]], [[0.9], [0.7]]], [[1.0, 3.0]], **one),
        _reinforce_case([0.0, 0.0], [[[0.3]], [[0.45]], [[0.9]], [[0.2]]], [[2.0, -1.0]], 0.5, 2),
        _reinforce_case([0.5, -0.5], [[[0.3], [0.9]], [[0.2], [0.4]]], [[1.0, -2.0]], 0.5, 0),
        # batch 0 pays nothing, then one whose rewards average zero: no reason to stop, nor to skip it
        _reinforce_case([0.0, 0.0, 0.0], [[[0.2], [0.1]], [[0.5], [0.8]], [[0.9], [0.2]]], [[0.0, 2.0, -2.0]], 0.5, 3),
    ]
    # iterations, trajectories, steps, actions: one and several of each, and as many trajectories as parameters
    for sizes in ((1, 3, 2, 2), (2, 1, 1, 2), (3, 4, 2, 2), (4, 6, 2, 3), (5, 5, 1, 3), (8, 3, 2, 2)):
        cases.append(_random_reinforce_case(rng, *sizes))
    return cases


def _reinforce_case(theta0, uniforms, rewards, learning_rate, iterations):
    batches = {"sample.uniforms": uniforms, "sample.rewards": rewards}
    return case(theta0=theta0, **batches, learning_rate=learning_rate, iterations=iterations)


def _random_reinforce_case(rng, iterations, num_trajectories, horizon, num_actions):
    """Two batches more than needed, for who counts wrongly; no action hangs on a rounding, in float32 either."""
    while True:
        inputs = _reinforce_case(
            theta0=rng.normal(size=horizon * num_actions),
            uniforms=rng.uniform(size=(iterations + 2, num_trajectories, horizon)),
            rewards=rewards_like(rng, horizon, num_actions) / 2,
            learning_rate=float(rng.choice([0.2, 0.3, 0.4])),
            iterations=iterations,
        )
        theta0, uniforms, rewards, learning_rate, _ = inputs.values()
        if _climb(theta0, uniforms[:iterations], rewards, learning_rate)[1] > 1e-4:
            return inputs


def _reinforce_oracle(theta0, sample, learning_rate, iterations):
    return _climb(theta0, sample["uniforms"][:iterations], sample["rewards"], learning_rate)[0]


def _climb(theta, uniforms, rewards, learning_rate):
    """θ after a step for each batch, and how near an action came to being another."""
    margin = 1.0
    for batch in uniforms:
        gradient = np.zeros(len(theta))
        for trajectory in batch:
            score, total = [], 0.0
            for u, logits, earned in zip(trajectory, theta.reshape(rewards.shape), rewards, strict=True):
                probs = np.exp(logits) / np.exp(logits).sum()
                action, below = 0, probs[0]
                while u > below and action < len(probs) - 1:
                    action += 1
                    below += probs[action]
                margin = min(margin, np.abs(u - np.cumsum(probs)[:-1]).min())
                score += [(a == action) - probs[a] for a in range(len(probs))]
                total += earned[action]
            gradient += total * np.array(score) / len(batch)
        theta = theta + learning_rate * gradient
    return theta, margin


def _estimate(scores, r):
    return (scores * r[:, None]).mean(0)


def _loop(
    estimate=_estimate,
    batch=lambda k: k,
    steps=lambda iterations: iterations,
    rate=lambda rate, k: rate,
    plays=lambda thetas: thetas[-1],
    start=lambda thetas: thetas[-1],
    ascent=lambda gradients: gradients[-1],
    gives=lambda thetas, gradients: thetas[-1],
):
    """An answer with one thing in it exchanged: `thetas` begin with θ₀, and `gradients` with zeros."""

    def answer(theta0, sample, learning_rate, iterations):
        thetas, gradients = [theta0.copy()], [np.zeros(len(theta0))]
        for k in range(steps(iterations)):
            gradients.append(estimate(*sample(plays(thetas), batch(k))))
            thetas.append(start(thetas) + rate(learning_rate, k) * ascent(gradients))
        return gives(thetas, gradients)

    return answer


def _first(thetas):
    return thetas[0]


def _average_then_one_step(theta0, sample, learning_rate, iterations):
    gradients = [_estimate(*sample(theta0, k)) for k in range(iterations)]
    return theta0 + learning_rate * np.mean(gradients, axis=0) if gradients else theta0


def _step_for_every_trajectory(theta0, sample, learning_rate, iterations):
    theta = theta0
    for k in range(iterations):
        for i in range(len(sample(theta0, k)[1])):
            scores, r = sample(theta, k)
            theta = theta + learning_rate * scores[i] * r[i] / len(r)
    return theta


def _in_place(theta0, sample, learning_rate, iterations):
    for k in range(iterations):
        theta0 += learning_rate * _estimate(*sample(theta0, k))
    return theta0


def _return_in_loop(theta0, sample, learning_rate, iterations):
    for k in range(iterations):
        return theta0 + learning_rate * _estimate(*sample(theta0, k))
    return None


def _best_so_far(theta0, sample, learning_rate, iterations):
    theta = best = theta0
    record = -np.inf
    for k in range(iterations):
        scores, r = sample(theta, k)
        if r.mean() > record:
            best, record = theta, r.mean()
        theta = theta + learning_rate * _estimate(scores, r)
    return best


def _reinforce_plain_loops(theta0, sample, learning_rate, iterations):
    theta = list(theta0)
    for k in range(iterations):
        scores, r = sample(theta, k)
        gradient = [0.0] * len(theta)
        for i in range(len(r)):
            for p in range(len(theta)):
                gradient[p] += scores[i][p] * r[i] / len(r)
        theta = [t + learning_rate * g for t, g in zip(theta, gradient, strict=True)]
    return theta


def _reinforce_torch(theta0, sample, learning_rate, iterations):
    theta = torch.tensor(theta0, requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=learning_rate)
    for k in range(iterations):
        scores, r = map(torch.from_numpy, sample(theta.detach(), k))
        optimizer.zero_grad()
        (-(scores @ theta) @ r / len(r)).backward()
        optimizer.step()
    return theta


def _reinforce_float32(theta0, sample, learning_rate, iterations):
    theta = theta0.astype(np.float32)
    for k in range(iterations):
        scores, r = (part.astype(np.float32) for part in sample(theta, k))
        theta = theta + np.float32(learning_rate) * (scores * r[:, None]).mean(0)
    return theta


def _reinforce_recursive(theta0, sample, learning_rate, iterations):
    if iterations == 0:
        return theta0
    theta = _reinforce_recursive(theta0, sample, learning_rate, iterations - 1)
    scores, r = sample(theta, iterations - 1)
    return theta + learning_rate * np.einsum("ip,i->p", scores, r) / len(r)


def _reinforce_on_a_copy(theta0, sample, learning_rate, iterations):
    theta = theta0.copy()
    for k in range(iterations):
        scores, r = sample(theta, k)
        theta += learning_rate * scores.T @ r / r.size
    return theta


EXERCISE = Exercise(
    name="reinforce",
    lesson=4,
    place=2,
    points=4,
    minutes=25,
    difficulty=2,
    signature="reinforce(theta0 (P,), sample, learning_rate, iterations) -> (P,), θ after that many steps; "
    "sample(theta, k) -> scores (N,P), total_rewards (N,)",
    cases=_reinforce_cases,
    oracle=_reinforce_oracle,
    probe="reinforce",
    references=("reinforce.reinforce", "reinforce.train"),
    accepts=(
        _loop(),
        _reinforce_plain_loops,
        _reinforce_torch,
        _reinforce_float32,
        _reinforce_recursive,
        _reinforce_on_a_copy,
    ),
    misconceptions=(
        Misconception(
            "every batch from the first policy",
            "You take new steps with old data: every batch is played by θ₀, the policy you started from. Which policy "
            "should collect the trajectories of step k?",
            _loop(plays=_first),
        ),
        Misconception(
            "sampled once, before the loop",
            "You collect one batch and climb with it again and again. After the first step it tells of a policy that "
            "you no longer have: where does fresh data come from?",
            _loop(plays=_first, batch=lambda k: 0),
        ),
        Misconception(
            "batch 0 every time",
            "The policy is new each time, but you ask for the same batch, number 0. Step k has batch k.",
            _loop(batch=lambda k: 0),
        ),
        Misconception(
            "one batch behind",
            "Your trajectories come from the policy before the last step. Is θ updated before it is handed to sample?",
            _loop(plays=lambda thetas: thetas[-2:][0]),
        ),
        Misconception(
            "batches counted from 1",
            "You leave out batch 0 and use one at the end that belongs to nobody. Batches are counted from 0.",
            _loop(batch=lambda k: k + 1),
        ),
        Misconception(
            "descent",
            "You walk down, steadily and with success. Return is to be made large: look at the sign of the step.",
            _loop(lambda scores, r: -_estimate(scores, r)),
        ),
        Misconception(
            "sum without 1/N",
            "You add up over the batch. With ten times the trajectories your steps get ten times as long: (4.1) has a "
            "factor for that.",
            _loop(lambda scores, r: scores.T @ r),
        ),
        Misconception(
            "descent, and sum without 1/N",
            "Two things: the direction of the step (up is plus), and its size (a mean over the batch, not a sum).",
            _loop(lambda scores, r: -scores.T @ r),
        ),
        Misconception(
            "1/N twice",
            "You divide by N twice; a mean has done it already.",
            _loop(lambda scores, r: _estimate(scores, r) / len(r)),
        ),
        Misconception(
            "mean score times mean reward",
            "You average the scores, average the rewards, and multiply. What teaches is which score earned which "
            "reward: multiply trajectory by trajectory, then average.",
            _loop(lambda scores, r: scores.mean(0) * r.mean()),
        ),
        Misconception(
            "summed scores times mean reward",
            "Sums and means over the batch have been taken before the product. Let every score meet its own reward "
            "first, and average then.",
            _loop(lambda scores, r: scores.sum(0) * r.mean()),
        ),
        Misconception(
            "summed scores times summed rewards",
            "One sum times another pairs every trajectory with everybody's reward. Keep what belongs to trajectory i "
            "together, and average at the end.",
            _loop(lambda scores, r: scores.sum(0) * r.sum()),
        ),
        Misconception(
            "rewards left out",
            "Your steps make everything that was played more likely, good or bad. What does (4.1) multiply each "
            "score by?",
            _loop(lambda scores, r: scores.mean(0)),
        ),
        Misconception(
            "only the last trajectory",
            "Each step listens to a single trajectory, the last of the batch. Does your gradient start again from "
            "zero, or get overwritten, inside the loop over i?",
            _loop(lambda scores, r: scores[-1] * r[-1]),
        ),
        Misconception(
            "only the first trajectory",
            "Each step listens to a single trajectory, the first of the batch. All N of them take part in (4.1).",
            _loop(lambda scores, r: scores[0] * r[0]),
        ),
        Misconception(
            "mean over the whole array",
            "A plain .mean() of an (N, P) array makes one number of it, and every parameter moves by the same amount. "
            "Average along one axis only: that of the trajectories.",
            _loop(lambda scores, r: (scores * r[:, None]).mean()),
        ),
        Misconception(
            "averaged over the parameters",
            "You average along the parameters and keep the trajectories, so the result has the wrong length, or fits "
            "by accident when N = P. Which axis is which?",
            _loop(lambda scores, r: (scores * r[:, None]).mean(1)),
        ),
        Misconception(
            "rewards along the parameters",
            "Shapes: (N, P) times (N,) lines up the rewards with the *parameters*, and fails or, worse, works when "
            "N = P. Give total_rewards a second axis.",
            _loop(lambda scores, r: (scores * r).mean(0)),
        ),
        Misconception(
            "rewards minus their mean",
            "You subtract the batch's mean reward. That is a good idea of lesson 7, and another estimator: here r(τ) "
            "stays as it is.",
            _loop(lambda scores, r: _estimate(scores, r - r.mean())),
        ),
        Misconception(
            "rewards standardised",
            "You standardise the rewards, as many programs do. It makes another estimator of it, which lesson 7 looks "
            "at: here r(τ) stays as it is.",
            _loop(lambda scores, r: _estimate(scores, standardised(r))),
        ),
        Misconception(
            "gradient of length one",
            "You divide the gradient by its length, so that all steps are equally long. (4.2) takes it as it is.",
            _loop(lambda scores, r: _estimate(scores, r) / (np.linalg.norm(_estimate(scores, r)) + 1e-12)),
        ),
        Misconception(
            "learning rate forgotten",
            "The whole gradient is your step. Who decides how long a step is?",
            _loop(rate=lambda rate, k: 1.0),
        ),
        Misconception(
            "a learning rate that falls",
            "Your steps get shorter as k grows. Here the learning rate stays what it is.",
            _loop(rate=lambda rate, k: rate / (k + 1)),
        ),
        Misconception(
            "one step too few",
            "The last step is missing. How often does your loop run for iterations = 1?",
            _loop(steps=lambda iterations: max(iterations - 1, 0)),
        ),
        Misconception(
            "one step too many",
            "You take one step more than asked. How often does your loop run for iterations = 0?",
            _loop(steps=lambda iterations: iterations + 1),
        ),
        Misconception(
            "averaged all batches, stepped once",
            "You average the gradients of all batches at θ₀ and take a single step. REINFORCE steps after every batch, "
            "and draws the next one from where it then stands.",
            _average_then_one_step,
        ),
        Misconception(
            "every step starts from theta0",
            "Each step sets out from θ₀ again, so all but the last are lost. A step starts where the one before ended.",
            _loop(start=_first),
        ),
        Misconception(
            "theta set back in every iteration",
            "Inside your loop θ becomes θ₀ again, so nothing is kept of the steps before. What belongs before "
            "the loop?",
            _loop(plays=_first, start=_first),
        ),
        Misconception(
            "a fresh batch for every trajectory",
            "You ask for the batch again for each trajectory, and step each time. One iteration is one batch, one "
            "estimate, one step.",
            _step_for_every_trajectory,
        ),
        Misconception(
            "rewards divided by their sum",
            "You turn the rewards into weights that add up to one. (4.1) takes r(τ) as it is, and divides by N.",
            _loop(lambda scores, r: r @ scores / r.sum()),
        ),
        Misconception(
            "the first batch left out",
            "Your loop begins with k = 1, so batch 0 is never used and a step is missing. Where does range() begin?",
            _loop(steps=lambda iterations: max(iterations - 1, 0), batch=lambda k: k + 1),
        ),
        Misconception(
            "gradients pile up",
            "The gradients of earlier batches are in your step as well: they add up over the iterations. It is what "
            "a forgotten zero_grad() does, too.",
            _loop(ascent=sum),
        ),
        Misconception(
            "theta0 changed in place",
            "You write into theta0, which the caller may still need: += on an array changes that very array, under "
            "whatever name. Begin with a copy.",
            _in_place,
        ),
        Misconception(
            "all thetas",
            "You return θ after every step. Only the last one is asked.",
            _loop(gives=lambda thetas, gradients: thetas),
        ),
        Misconception(
            "the mean of all thetas",
            "You return an average of θ over the iterations. Asked is where you stand at the end.",
            _loop(gives=lambda thetas, gradients: np.mean(thetas[1:] or thetas, axis=0)),
        ),
        Misconception(
            "the last gradient",
            "That is the gradient of the last batch. Asked is θ, after the last step.",
            _loop(gives=lambda thetas, gradients: gradients[-1]),
        ),
        Misconception(
            "return inside the loop",
            "Your function comes back after the first step. Look at how far the return statement is indented.",
            _return_in_loop,
        ),
        Misconception(
            "the best theta instead of the last",
            "You keep the θ whose batch earned most. That batch may only have been lucky, and asked is the last θ.",
            _best_so_far,
        ),
    ),
)
