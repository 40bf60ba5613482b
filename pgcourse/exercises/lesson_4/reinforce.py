"""Lesson 4, REINFORCE."""

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, mask_of, random_mask, rewards_like

# gradient_ascent_step


def _ascent_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(theta=[1.0, -2.0], gradient=[3.0, 4.0], learning_rate=0.1),
        case(theta=[0.5], gradient=[-2.0], learning_rate=0.25),
        case(theta=[0.0, 0.0, 0.0], gradient=[1.0, -0.5, 2.0], learning_rate=2.0),
    ]
    for size, learning_rate in ((2, 0.01), (4, 0.5), (7, 3.0)):
        theta, gradient = rng.normal(size=(2, size))
        cases.append(case(theta=theta, gradient=gradient, learning_rate=learning_rate))
    return cases


def _ascent_oracle(theta, gradient, learning_rate):
    return [theta[p] + learning_rate * gradient[p] for p in range(len(theta))]


def _ascent_in_place(theta, gradient, learning_rate):
    theta += learning_rate * gradient
    return theta


def _descent_in_place(theta, gradient, learning_rate):
    theta -= learning_rate * gradient
    return theta


def _ascent_returning_nothing(theta, gradient, learning_rate):
    theta = theta + learning_rate * gradient


def _ascent_torch(theta, gradient, learning_rate):
    theta = torch.tensor(theta, requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=learning_rate)
    theta.grad = -torch.tensor(gradient)
    optimizer.step()
    return theta


def _ascent_on_a_copy(theta, gradient, learning_rate):
    new = theta.copy()
    for p in range(len(new)):
        new[p] += learning_rate * gradient[p]
    return new


GRADIENT_ASCENT_STEP = Exercise(
    name="gradient_ascent_step",
    lesson=4,
    points=1,
    minutes=5,
    difficulty=1,
    signature="gradient_ascent_step(theta (P,), gradient (P,), learning_rate) -> (P,), a new array",
    cases=_ascent_cases,
    oracle=_ascent_oracle,
    accepts=(
        lambda theta, gradient, learning_rate: theta + learning_rate * gradient,
        lambda theta, gradient, learning_rate: theta - learning_rate * -gradient,
        lambda theta, gradient, learning_rate: [t + learning_rate * g for t, g in zip(theta, gradient, strict=True)],
        lambda theta, gradient, learning_rate: np.float32(theta) + np.float32(learning_rate) * np.float32(gradient),
        _ascent_on_a_copy,
        _ascent_torch,
    ),
    misconceptions=(
        Misconception(
            "descent",
            "You walk against the arrow. J is to become large, and the gradient points to where it grows.",
            lambda theta, gradient, learning_rate: theta - learning_rate * gradient,
        ),
        Misconception(
            "theta changed in place",
            "The array that you were given has changed: += writes into it, and so does theta[:] = …. Whoever called "
            "you still needs the old θ, so build a new array.",
            _ascent_in_place,
        ),
        Misconception(
            "nothing returned",
            "You compute something, but nothing comes back. How does the caller get the new θ?",
            _ascent_returning_nothing,
        ),
        Misconception(
            "only the change",
            "That is how far to go, and not yet where you arrive. Where did you set out?",
            lambda theta, gradient, learning_rate: learning_rate * gradient,
        ),
        Misconception(
            "learning rate forgotten",
            "You take the whole gradient as your step. Who decides how long a step is?",
            lambda theta, gradient, learning_rate: theta + gradient,
        ),
        Misconception(
            "descent, learning rate forgotten",
            "Two things: which way is up, and how long is the step?",
            lambda theta, gradient, learning_rate: theta - gradient,
        ),
        Misconception(
            "divided by the learning rate",
            "With a smaller learning rate your step gets longer. It should get shorter.",
            lambda theta, gradient, learning_rate: theta + gradient / learning_rate,
        ),
        Misconception(
            "gradient of length one",
            "You divide the gradient by its length, so that every step is equally long, on a cliff and on a plain. "
            "(4.2) takes the gradient as it is.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient / np.linalg.norm(gradient),
        ),
        Misconception(
            "sign of the gradient",
            "Only the signs of the gradient are left, so every coordinate moves equally far. (4.2) keeps the sizes.",
            lambda theta, gradient, learning_rate: theta + learning_rate * np.sign(gradient),
        ),
        Misconception(
            "learning rate on theta too",
            "Part of θ itself gets multiplied by the learning rate. Check the brackets: what does α belong to?",
            lambda theta, gradient, learning_rate: learning_rate * (theta + gradient),
        ),
        Misconception(
            "a weighted mean of theta and gradient",
            "You blend θ with the gradient, so that θ shrinks at every step. A step keeps all of θ and adds to it.",
            lambda theta, gradient, learning_rate: (1 - learning_rate) * theta + learning_rate * gradient,
        ),
        Misconception(
            "learning rate on theta instead of the gradient",
            "α multiplies θ in your step, and the gradient comes whole. Which of the two should it make shorter?",
            lambda theta, gradient, learning_rate: learning_rate * theta + gradient,
        ),
        Misconception(
            "gradient forgotten",
            "Every parameter moves by the learning rate. In which direction, and how far, says the gradient.",
            lambda theta, gradient, learning_rate: theta + learning_rate,
        ),
        Misconception(
            "joined instead of added",
            "Your result is twice as long as θ: two lists with a + between them are joined, not added. Arrays add.",
            lambda theta, gradient, learning_rate: [*theta, *(learning_rate * gradient)],
        ),
        Misconception(
            "the last parameter left out",
            "The last parameter stays where it was. In Python, range(n) and [:n] stop before n.",
            lambda theta, gradient, learning_rate: theta + learning_rate * np.append(gradient[:-1], 0),
        ),
        Misconception(
            "theta and learning rate swapped",
            "The learning rate is added and θ is a factor: two arguments have changed places.",
            lambda theta, gradient, learning_rate: learning_rate + theta * gradient,
        ),
        Misconception(
            "multiplied instead of added",
            "Where θ is zero your step stands still, whatever the gradient says. A step is added to θ.",
            lambda theta, gradient, learning_rate: theta * (1 + learning_rate * gradient),
        ),
        Misconception(
            "averaged over the parameters",
            "You divide by the number of parameters. The mean in (4.1) runs over trajectories, and it has been taken "
            "already: the gradient is complete.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient / len(theta),
        ),
        Misconception(
            "the same step for every parameter",
            "Every parameter moves by the same amount. The gradient has an entry for each of them; somewhere a sum, a "
            "mean or a dot product made one number of it.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient.sum(),
        ),
        Misconception(
            "mean of the gradient",
            "Every parameter moves by the mean of the gradient. It has an entry for each of "
            "them: let each move by its own.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient.mean(),
        ),
        Misconception(
            "two steps",
            "You went twice as far as asked. Is the step added in two places?",
            lambda theta, gradient, learning_rate: theta + 2 * learning_rate * gradient,
        ),
    ),
)

# reinforce


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


def _loop(estimate=_estimate, batch=lambda k: k, steps=lambda iterations: iterations, rate=lambda rate, k: rate):
    """An answer with one thing in it exchanged."""

    def answer(theta0, sample, learning_rate, iterations):
        theta = theta0.copy()
        for k in range(steps(iterations)):
            theta = theta + rate(learning_rate, k) * estimate(*sample(theta, batch(k)))
        return theta

    return answer


def _always_theta0(theta0, sample, learning_rate, iterations):
    theta = theta0
    for k in range(iterations):
        theta = theta + learning_rate * _estimate(*sample(theta0, k))
    return theta


def _sampled_once(theta0, sample, learning_rate, iterations):
    theta, batch = theta0, sample(theta0, 0)
    for _ in range(iterations):
        theta = theta + learning_rate * _estimate(*batch)
    return theta


def _average_then_one_step(theta0, sample, learning_rate, iterations):
    gradients = [_estimate(*sample(theta0, k)) for k in range(iterations)]
    return theta0 + learning_rate * np.mean(gradients, axis=0) if gradients else theta0


def _always_from_theta0(theta0, sample, learning_rate, iterations):
    theta = theta0
    for k in range(iterations):
        theta = theta0 + learning_rate * _estimate(*sample(theta, k))
    return theta


def _set_back(theta0, sample, learning_rate, iterations):
    if iterations:
        return theta0 + learning_rate * _estimate(*sample(theta0, iterations - 1))
    return theta0


def _step_for_every_trajectory(theta0, sample, learning_rate, iterations):
    theta = theta0
    for k in range(iterations):
        for i in range(len(sample(theta0, k)[1])):
            scores, r = sample(theta, k)
            theta = theta + learning_rate * scores[i] * r[i] / len(r)
    return theta


def _first_left_out(theta0, sample, learning_rate, iterations):
    theta = theta0
    for k in range(1, iterations):
        theta = theta + learning_rate * _estimate(*sample(theta, k))
    return theta


def _gradients_pile_up(theta0, sample, learning_rate, iterations):
    theta, gradient = theta0, np.zeros(len(theta0))
    for k in range(iterations):
        gradient = gradient + _estimate(*sample(theta, k))
        theta = theta + learning_rate * gradient
    return theta


def _one_batch_behind(theta0, sample, learning_rate, iterations):
    theta = before = theta0
    for k in range(iterations):
        theta, before = theta + learning_rate * _estimate(*sample(before, k)), theta
    return theta


def _in_place(theta0, sample, learning_rate, iterations):
    for k in range(iterations):
        theta0 += learning_rate * _estimate(*sample(theta0, k))
    return theta0


def _all_thetas(theta0, sample, learning_rate, iterations):
    thetas = [theta0]
    for k in range(iterations):
        thetas.append(thetas[-1] + learning_rate * _estimate(*sample(thetas[-1], k)))
    return thetas


def _last_gradient(theta0, sample, learning_rate, iterations):
    theta, gradient = theta0, np.zeros(len(theta0))
    for k in range(iterations):
        gradient = _estimate(*sample(theta, k))
        theta = theta + learning_rate * gradient
    return gradient


def _return_in_loop(theta0, sample, learning_rate, iterations):
    if iterations:
        return theta0 + learning_rate * _estimate(*sample(theta0, 0))
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


def _mean_of_thetas(theta0, sample, learning_rate, iterations):
    return np.mean(_all_thetas(theta0, sample, learning_rate, iterations)[1:] or [theta0], axis=0)


def _standardised(r):
    return (r - r.mean()) / (r.std() + 1e-8)


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


REINFORCE = Exercise(
    name="reinforce",
    lesson=4,
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
            _always_theta0,
        ),
        Misconception(
            "sampled once, before the loop",
            "You collect one batch and climb with it again and again. After the first step it tells of a policy that "
            "you no longer have: where does fresh data come from?",
            _sampled_once,
        ),
        Misconception(
            "batch 0 every time",
            "The policy is new each time, but you ask for the same batch, number 0. Step k has batch k.",
            _loop(batch=lambda k: 0),
        ),
        Misconception(
            "one batch behind",
            "Your trajectories come from the policy before the last step. Is θ updated before it is handed to sample?",
            _one_batch_behind,
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
            _loop(lambda scores, r: _estimate(scores, _standardised(r))),
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
            _always_from_theta0,
        ),
        Misconception(
            "theta set back in every iteration",
            "Inside your loop θ becomes θ₀ again, so nothing is kept of the steps before. What belongs before "
            "the loop?",
            _set_back,
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
            _first_left_out,
        ),
        Misconception(
            "gradients pile up",
            "The gradients of earlier batches are in your step as well: they add up over the iterations. It is what "
            "a forgotten zero_grad() does, too.",
            _gradients_pile_up,
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
            _all_thetas,
        ),
        Misconception(
            "the mean of all thetas",
            "You return an average of θ over the iterations. Asked is where you stand at the end.",
            _mean_of_thetas,
        ),
        Misconception(
            "the last gradient",
            "That is the gradient of the last batch. Asked is θ, after the last step.",
            _last_gradient,
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

# batch_update, the bug hunt


def _update_cases(seed):
    rng = np.random.default_rng(seed)
    one = {"mask": [[True, True, True]], "total_rewards": [1.0], "learning_rate": 1.0}
    two = {"total_rewards": [2.0, -1.0], "learning_rate": 0.5}
    cases = [
        case(theta=[[0.0, 0.0]], states=[[0, 0, 0]], actions=[[0, 0, 1]], **one),
        case(theta=[[0.0, 1.0]], states=[[0], [0]], actions=[[1], [0]], mask=[[True], [True]], **two),
        case(
            theta=[[0.5, 0.0], [0.0, 0.0]],
            states=[[0, 1], [1, 0]],
            actions=[[1, 0], [1, 1]],
            mask=mask_of([2, 1]),
            **two,
        ),
    ]
    for num_states, num_actions, shape in zip((1, 2, 3, 2, 2, 3), (2, 2, 3, 3, 2, 2), SHAPES, strict=True):
        cases.append(
            case(
                theta=rng.normal(size=(num_states, num_actions)),
                states=rng.integers(num_states, size=shape),
                actions=rng.integers(num_actions, size=shape),
                mask=random_mask(rng, *shape),
                total_rewards=rewards_like(rng, shape[0]),
                learning_rate=float(rng.choice([0.1, 0.25, 0.5])),
            )
        )
    return cases


def _update_oracle(theta, states, actions, mask, total_rewards, learning_rate):
    new = theta.copy()
    for i, t in np.argwhere(mask):
        probs = np.exp(theta[states[i, t]]) / np.exp(theta[states[i, t]]).sum()
        for a in range(theta.shape[1]):
            score = (a == actions[i, t]) - probs[a]
            new[states[i, t], a] += learning_rate * score * total_rewards[i] / len(mask)
    return new


def _softmax(logits, axis=-1):
    exponentials = np.exp(logits - logits.max(axis, keepdims=True))
    return exponentials / exponentials.sum(axis, keepdims=True)


def _score(theta, s, a):
    score = -_softmax(theta[s])
    score[a] += 1
    return score


def _stale(after):
    """The update with a step after every group of (i, t) pairs that `after` makes of the mask."""

    def answer(theta, states, actions, mask, r, learning_rate):
        theta = theta.copy()
        for group in after(mask):
            gradient = np.zeros_like(theta)
            for i, t in group:
                gradient[states[i, t]] += _score(theta, states[i, t], actions[i, t]) * r[i] / len(mask)
            theta += learning_rate * gradient
        return theta

    return answer


def _every_step(mask):
    return [[pair] for pair in np.argwhere(mask)]


def _every_trajectory(mask):
    return [[(i, t) for t in np.flatnonzero(mask[i])] for i in range(len(mask))]


def _every_time(mask):
    return [[(i, t) for i in np.flatnonzero(mask[:, t])] for t in range(mask.shape[1])]


def _term(score=None, weight=None, pairs=None):
    """The gradient of the batch, with one thing in it exchanged."""

    def gradient(theta, states, actions, mask, r):
        total = np.zeros_like(theta)
        for i, t in (pairs or np.argwhere)(mask):
            w = weight(r, mask, i, t) if weight else r[i] / len(mask)
            total[states[i, t]] += (score or _score)(theta, states[i, t], actions[i, t]) * w
        return total

    return gradient


def _step_along(gradient, sign=1):
    return lambda theta, states, actions, mask, r, learning_rate: (
        theta + sign * learning_rate * gradient(theta, states, actions, mask, r)
    )


def _one_hot_score(theta, s, a):
    return np.eye(theta.shape[1])[a]


def _own_entry_score(theta, s, a):
    return np.eye(theta.shape[1])[a] * _score(theta, s, a)


def _columns_score(theta, s, a):
    return np.eye(theta.shape[1])[a] - _softmax(theta, axis=0)[s]


def _over_the_table_score(theta, s, a):
    return np.eye(theta.shape[1])[a] - (np.exp(theta) / np.exp(theta).sum())[s]


def _overwritten(theta, states, actions, mask, r):
    gradient = np.zeros_like(theta)
    for i, t in np.argwhere(mask):
        gradient[states[i, t]] = _score(theta, states[i, t], actions[i, t]) * r[i] / len(mask)
    return gradient


def _along_time(theta, states, actions, mask, r):
    weights = mask * r / len(mask)
    return _term(weight=lambda r, mask, i, t: weights[i, t])(theta, states, actions, mask, r)


def _step_inside_the_loop(theta, states, actions, mask, r, learning_rate):
    gradient = np.zeros_like(theta)
    for i, t in np.argwhere(mask):
        gradient[states[i, t]] += _score(theta, states[i, t], actions[i, t]) * r[i] / len(mask)
        theta = theta + learning_rate * gradient
    return theta


def _update_in_place(theta, states, actions, mask, r, learning_rate):
    theta += learning_rate * _term()(theta, states, actions, mask, r)
    return theta


def _update_add_at(theta, states, actions, mask, r, learning_rate):
    scores = np.eye(theta.shape[1])[actions] - _softmax(theta)[states]
    gradient = np.zeros_like(theta)
    np.add.at(gradient, states[mask], (scores * r[:, None, None])[mask])
    return theta + learning_rate * gradient / len(r)


def _update_einsum(theta, states, actions, mask, r, learning_rate):
    scores = np.eye(theta.shape[1])[actions] - _softmax(theta)[states]
    visited = np.eye(len(theta))[states] * mask[..., None]
    return theta + learning_rate * np.einsum("nts,nta,n->sa", visited, scores, r) / len(r)


def _update_torch(theta, states, actions, mask, r, learning_rate):
    theta, states, actions, mask, r = map(torch.from_numpy, (theta, states, actions, mask, r))
    theta = theta.clone().requires_grad_()
    log_probs = theta.log_softmax(1)[states, actions]
    loss = -(torch.where(mask, log_probs, 0).sum(1) * r).mean()
    loss.backward()
    with torch.no_grad():
        theta -= learning_rate * theta.grad
    return theta


def _update_float32(theta, states, actions, mask, r, learning_rate):
    theta, r = theta.astype(np.float32), r.astype(np.float32)
    return theta + np.float32(learning_rate) * _term()(theta, states, actions, mask, r)


BATCH_UPDATE = Exercise(
    name="batch_update",
    lesson=4,
    points=3,
    minutes=20,
    difficulty=2,
    signature="batch_update(theta (S,A), states (N,T), actions (N,T), mask (N,T), total_rewards (N,), learning_rate) "
    "-> (S,A), a new array",
    cases=_update_cases,
    oracle=_update_oracle,
    references=("estimators.gradients", "estimators.surrogate_loss"),
    accepts=(
        _step_along(_term()),
        _update_add_at,
        _update_einsum,
        _update_torch,
        _update_float32,
        lambda *arguments: _step_along(_term())(*arguments).tolist(),
    ),
    misconceptions=(
        Misconception(
            "a step after every action",
            "The bug is still there: θ moves while the batch is being read. Whose probabilities are in the second "
            "score: those of the policy that acted?",
            _stale(_every_step),
        ),
        Misconception(
            "a step after every trajectory",
            "Better: within a trajectory all scores belong to the same θ. But the second trajectory is scored with "
            "what the first one made of θ. Which policy played it?",
            _stale(_every_trajectory),
        ),
        Misconception(
            "a step after every time step",
            "θ still moves while you read the batch, once for each t now. All N·T actions were taken by one and the "
            "same policy.",
            _stale(_every_time),
        ),
        Misconception(
            "the step is inside the loop",
            "You collect the gradient, which is right, and step inside the loop: early terms are walked along again "
            "and again, and θ still moves. How far is the line with the step indented?",
            _step_inside_the_loop,
        ),
        Misconception(
            "theta changed in place",
            "The numbers go into the array that you were given, and the caller still needs it. The buggy version has a "
            "line that prevents this; keep it, or build a new array.",
            _update_in_place,
        ),
        Misconception(
            "repeated states counted once",
            "A state that is visited twice keeps only one of its two terms. Are you assigning where you should add? "
            "Beware that in NumPy gradient[states] += … writes each row once, however often it occurs.",
            _step_along(_overwritten),
        ),
        Misconception(
            "only the last trajectory",
            "Only the last trajectory arrives in your step. Where do you set the gradient to zero?",
            _step_along(_term(pairs=lambda mask: [(i, t) for i, t in np.argwhere(mask) if i == len(mask) - 1])),
        ),
        Misconception(
            "only the first trajectory",
            "Only the first trajectory arrives in your step. Look at how far the step, or the return, is indented.",
            _step_along(_term(pairs=lambda mask: [(i, t) for i, t in np.argwhere(mask) if i == 0])),
        ),
        Misconception(
            "only the very first step",
            "Only the first step of the first trajectory arrives. Look at how far the return statement is indented.",
            _step_along(_term(pairs=lambda mask: np.argwhere(mask)[:1])),
        ),
        Misconception(
            "only the last steps",
            "Only the last step of each trajectory arrives in your step. Where do you set the gradient to zero?",
            _step_along(_term(pairs=lambda mask: [(i, mask[i].sum() - 1) for i in range(len(mask))])),
        ),
        Misconception(
            "the last step left out",
            "The last step of every trajectory is missing. It was chosen like all the others.",
            _step_along(_term(pairs=lambda mask: [(i, t) for i, t in np.argwhere(mask) if t < mask[i].sum() - 1])),
        ),
        Misconception(
            "the last column left out",
            "Time T is missing: range(T) reaches T − 1, which is the last step already.",
            _step_along(_term(pairs=lambda mask: [(i, t) for i, t in np.argwhere(mask) if t < mask.shape[1] - 1])),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part. The buggy version was right about this: what kept them out?",
            _step_along(_term(pairs=lambda mask: list(np.ndindex(mask.shape)))),
        ),
        Misconception(
            "mask forgotten, still a step after every action",
            "Two things: θ moves while the batch is being read, and steps that never happened take part.",
            _stale(lambda mask: [[pair] for pair in np.ndindex(mask.shape)]),
        ),
        Misconception(
            "sum without 1/N",
            "The factor 1/N got lost on the way: (4.1) averages over trajectories.",
            _step_along(_term(weight=lambda r, mask, i, t: r[i])),
        ),
        Misconception(
            "1/N twice",
            "You divide by N twice. Once is enough, in the loop or after it.",
            _step_along(_term(weight=lambda r, mask, i, t: r[i] / len(mask) ** 2)),
        ),
        Misconception(
            "mean over all steps",
            "You divide by the number of steps. (4.1) divides by the number of trajectories, however long they are.",
            _step_along(_term(weight=lambda r, mask, i, t: r[i] / mask.sum())),
        ),
        Misconception(
            "mean within each trajectory",
            "You average the scores within each trajectory. Along time (4.1) has a sum.",
            _step_along(_term(weight=lambda r, mask, i, t: r[i] / mask[i].sum() / len(mask))),
        ),
        Misconception(
            "divided by T",
            "You divide by the width of the arrays, T. The average runs over the other axis, the trajectories.",
            _step_along(_term(weight=lambda r, mask, i, t: r[i] / mask.shape[1])),
        ),
        Misconception(
            "descent",
            "The step leads down. The buggy version went the right way in this: keep its plus.",
            _step_along(_term(), sign=-1),
        ),
        Misconception(
            "rewards left out",
            "The rewards have got lost: every trajectory is made likelier, good or bad.",
            _step_along(_term(weight=lambda r, mask, i, t: 1 / len(mask))),
        ),
        Misconception(
            "every trajectory weighted with the mean reward",
            "All trajectories get the batch's mean reward. Each score is multiplied by the reward of its own "
            "trajectory.",
            _step_along(_term(weight=lambda r, mask, i, t: r.mean() / len(mask))),
        ),
        Misconception(
            "rewards minus their mean",
            "You subtract the batch's mean reward. Lesson 7 will like that; here r(τ) stays as it is.",
            _step_along(_term(weight=lambda r, mask, i, t: (r[i] - r.mean()) / len(mask))),
        ),
        Misconception(
            "rewards along the time axis",
            "Shapes: (N, T) times (N,) lines up the rewards with *time*, and fails or, worse, works when N = T.",
            _step_along(_along_time),
        ),
        Misconception(
            "score without the probabilities",
            "The score of an action is one *minus* something, and minus something for the actions not taken, (1.5). "
            "Without it probabilities that were large already get a push of full size.",
            _step_along(_term(score=_one_hot_score)),
        ),
        Misconception(
            "only the taken action moves",
            "You raise the action that was taken and leave the others in peace. The score has an entry for every "
            "action, (1.5).",
            _step_along(_term(score=_own_entry_score)),
        ),
        Misconception(
            "softmax over the states",
            "Your probabilities add up to one along the wrong axis. A row of theta holds the logits of one state.",
            _step_along(_term(score=_columns_score)),
        ),
        Misconception(
            "softmax over the whole table",
            "Your probabilities add up to one over the whole table. Each state has a softmax of its own.",
            _step_along(_term(score=_over_the_table_score)),
        ),
        Misconception(
            "the gradient instead of theta",
            "That is ĝ. Asked is θ after the step.",
            lambda theta, states, actions, mask, r, learning_rate: _term()(theta, states, actions, mask, r),
        ),
        Misconception(
            "only the change",
            "That is how far to go. Where did you set out?",
            lambda theta, states, actions, mask, r, learning_rate: (
                learning_rate * _term()(theta, states, actions, mask, r)
            ),
        ),
        Misconception(
            "learning rate forgotten",
            "The learning rate got lost on the way from the loop to the step.",
            lambda theta, states, actions, mask, r, learning_rate: theta + _term()(theta, states, actions, mask, r),
        ),
    ),
)

EXERCISES = [GRADIENT_ASCENT_STEP, REINFORCE, BATCH_UPDATE]
