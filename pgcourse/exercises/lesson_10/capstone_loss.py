"""Lesson 10, making it work: two parts of a trainer, and the trainer."""

from types import SimpleNamespace

import numpy as np
import torch

from pgcourse import rollouts
from pgcourse.exercises import Exercise, Misconception, Trial
from pgcourse.exercises.cases import SHAPES, case, mask_of, random_mask, rewards_like, with_garbage
from pgcourse.judging.calling import Problem
from pgcourse.policies import MLP

# capstone_advantages


def _advantages_cases(seed):
    rng = np.random.default_rng(seed)
    equal = {"rewards": [[1.0, -2.0, 20.0], [1.0, -2.0, -11.0]], "mask": [[True, True, False]] * 2}
    cases = [
        case(rewards=[[1.0, 2.0], [3.0, -7.0]], mask=[[True, True], [True, False]], discount=1.0),
        case(rewards=[[1.0, 1.0, 1.0], [1.0, 9.0, -9.0]], mask=mask_of([3, 1]), discount=0.5),
        case(**equal, discount=0.5),
    ]
    for shape, discount in zip((*SHAPES, (5, 4)), (0.5, 0.0, 0.5, 1.0, 1.0, 0.9, 0.5), strict=True):
        mask = random_mask(rng, *shape)
        rewards = with_garbage(rng, rewards_like(rng, *shape), mask, 20)
        cases.append(case(rewards=rewards, mask=mask, discount=discount))
    return cases


def _advantages_oracle(rewards, mask, discount):
    advantages = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        for j in range(len(mask)):
            to_go = sum(discount ** (k - t) * rewards[j, k] for k in range(t, mask.shape[1]) if mask[j, k])
            advantages[i, t] += (i == j) * to_go - to_go / len(mask)
    happened = [advantages[i, t] for i, t in np.argwhere(mask)]
    deviation = np.sqrt(sum((a - sum(happened) / len(happened)) ** 2 for a in happened) / len(happened))
    return advantages / deviation if deviation > 1e-9 else 0 * advantages


def _to_go(rewards, mask, discount):
    returns = np.where(mask, rewards, 0.0)
    for t in range(mask.shape[1] - 2, -1, -1):
        returns[:, t] += discount * returns[:, t + 1]
    return returns


def _safely(values, deviation):
    return np.where(deviation > 1e-9, values / np.where(deviation > 1e-9, deviation, 1), 0.0)


def _recipe(
    returns=_to_go,
    baseline=lambda returns, mask: returns.mean(0),
    deviation=lambda advantages, mask, returns: advantages[mask].std(),
    keep=lambda mask: mask,
    divide=_safely,
):
    """An answer with one thing in it exchanged."""

    def answer(rewards, mask, discount):
        G = returns(rewards, mask, discount)
        advantages = keep(mask) * (G - baseline(G, mask))
        return divide(advantages, deviation(advantages, mask, G))

    return answer


def _full_return(rewards, mask, discount):
    return mask * _to_go(rewards, mask, discount)[:, :1]


def _so_far(rewards, mask, discount):
    returns = np.where(mask, rewards, 0.0)
    for t in range(1, mask.shape[1]):
        returns[:, t] += discount * returns[:, t - 1]
    return mask * returns


def _absolute(rewards, mask, discount):
    return _to_go(np.where(mask, rewards, 0.0) * discount ** np.arange(mask.shape[1]), mask, 1.0)


def _without_own(rewards, mask, discount):
    return _to_go(rewards, mask, discount) - np.where(mask, rewards, 0.0)


def _leaking(rewards, mask, discount):
    return mask * _to_go(rewards, np.ones_like(mask), discount)


def _others(returns, mask):
    others = mask.sum(0) - mask
    return np.where(others > 0, (returns.sum(0) - returns) / np.maximum(others, 1), 0.0)


def _pooled(returns, mask):
    return returns[mask].mean()


def _standardised_again(rewards, mask, discount):
    advantages = _recipe(deviation=lambda advantages, mask, returns: np.float64(1))(rewards, mask, discount)
    return mask * _safely(advantages - advantages[mask].mean(), advantages[mask].std())


def _advantages_torch(rewards, mask, discount):
    rewards, mask = torch.from_numpy(rewards), torch.from_numpy(mask)
    returns, following = torch.zeros_like(rewards), torch.zeros(len(rewards), dtype=torch.float64)
    for t in reversed(range(rewards.shape[1])):
        following = torch.where(mask[:, t], rewards[:, t] + discount * following, 0.0)
        returns[:, t] = following
    advantages = torch.where(mask, returns - returns.mean(0), 0.0)
    deviation = advantages[mask].std(correction=0)
    return advantages / deviation if deviation > 0 else torch.zeros_like(advantages)


def _advantages_powers(rewards, mask, discount):
    t = np.arange(mask.shape[1])
    powers = np.tril(np.float64(discount) ** np.abs(t[:, None] - t))
    returns = np.where(mask, rewards, 0) @ powers
    advantages = np.where(mask, returns - returns.sum(0) / len(returns), 0)
    scale = np.std(advantages[mask])
    return advantages if scale < 1e-12 else advantages / scale


def _advantages_float32(rewards, mask, discount):
    return _recipe()(rewards.astype(np.float32), mask, discount).astype(np.float32)


_deviation = {"deviation": lambda advantages, mask, returns: np.float64(1)}

CAPSTONE_ADVANTAGES = Exercise(
    name="capstone_advantages",
    lesson=10,
    points=3,
    minutes=20,
    difficulty=2,
    signature="capstone_advantages(rewards (N,T), mask (N,T), discount) -> (N,T)",
    cases=_advantages_cases,
    oracle=_advantages_oracle,
    roundings=64,
    references=(
        "reinforce.standardised_to_go",
        "estimators.rewards_to_go",
        "estimators.batch_mean_advantages",
        "estimators.divided_by_deviation",
    ),
    accepts=(
        _recipe(),
        _advantages_torch,
        _advantages_powers,
        _advantages_float32,
        lambda *arguments: _recipe()(*arguments).tolist(),
    ),
    misconceptions=(
        Misconception(
            "not divided by the deviation",
            "The centring is right. The last of the three steps is missing: what makes its size steady?",
            _recipe(**_deviation),
        ),
        Misconception(
            "no baseline",
            "You divide by the deviation without taking a baseline away first. Every return of CartPole is positive: "
            "what would all actions be told?",
            _recipe(baseline=lambda returns, mask: 0.0),
        ),
        Misconception(
            "rewards to go and nothing else",
            "These are the rewards to go. Two steps of the recipe still follow: a baseline, and a scale.",
            _recipe(baseline=lambda returns, mask: 0.0, **_deviation),
        ),
        Misconception(
            "the whole return at every step",
            "Every step of an episode gets the same return, that of its beginning. What had been earned before an "
            "action is none of its merit.",
            _recipe(returns=_full_return),
        ),
        Misconception(
            "rewards so far instead of to go",
            "You add up the rewards from the start to t. The action at t can only bring about what comes from t on.",
            _recipe(returns=_so_far),
        ),
        Misconception(
            "own reward left out",
            "The sum begins one step too late: the reward of the action itself is missing.",
            _recipe(returns=_without_own),
        ),
        Misconception(
            "discount ignored",
            "The discount does nothing in your answer. A reward that is k steps away counts γ to the k.",
            _recipe(returns=lambda rewards, mask, discount: _to_go(rewards, mask, 1.0)),
        ),
        Misconception(
            "discounted from the start of the episode",
            "You count the powers of γ from the start of the episode. The recipe counts them from the step itself, and "
            "leaves γ to the t out (the card of lesson 6 says what that costs).",
            _recipe(returns=_absolute),
        ),
        Misconception(
            "padding leaks into the returns",
            "Rewards from behind the end of an episode flow back into it. Silence them before you add anything up.",
            _recipe(returns=_leaking),
        ),
        Misconception(
            "padding leaks into everything",
            "What stands behind the end of an episode flows back into its returns, and into the mean of the others. "
            "Silence it before you add anything up.",
            _recipe(returns=lambda rewards, mask, discount: _to_go(rewards, np.ones_like(mask), discount)),
        ),
        Misconception(
            "the baseline goes on after the end",
            "Where an episode is over, yours shows minus the baseline. A step that never happened has no advantage.",
            _recipe(
                keep=np.ones_like,
                deviation=lambda advantages, mask, returns: advantages[mask].std(),
            ),
        ),
        Misconception(
            "baseline over the living only",
            "You divide the sum at each step by the number of episodes still going. The mean of (7.2) divides by N: a "
            "finished episode earns 0 from there on, and that counts.",
            _recipe(baseline=lambda returns, mask: returns.sum(0) / np.maximum(mask.sum(0), 1)),
        ),
        Misconception(
            "baseline over time",
            "Your mean runs along each episode. The baseline compares an episode with the others, at the same step: "
            "which axis is that?",
            _recipe(baseline=lambda returns, mask: returns.mean(1, keepdims=True)),
        ),
        Misconception(
            "baseline over the steps of each episode",
            "You subtract from each episode its own mean. Compare an episode with the others, at the same step.",
            _recipe(baseline=lambda returns, mask: (returns.sum(1) / mask.sum(1))[:, None]),
        ),
        Misconception(
            "one mean for all steps",
            "You subtract one number from all steps. Early steps have more ahead of them than late ones, so each step "
            "needs a mean of its own.",
            _recipe(baseline=_pooled),
        ),
        Misconception(
            "one mean over everything, padding too",
            "You subtract a single number, and padding takes part in it. Each step needs a mean of its own.",
            _recipe(baseline=lambda returns, mask: returns.mean()),
        ),
        Misconception(
            "leave-one-out",
            "This leaves each episode out of its own baseline: unbiased, and a fine choice. Asked is the plain mean, "
            "(7.2), everybody included.",
            _recipe(baseline=_others),
        ),
        Misconception(
            "the mean of all rewards to go taken away as well",
            "After the baseline you centre once more, over all steps. Divide by the deviation, and subtract nothing "
            "further.",
            _standardised_again,
        ),
        Misconception(
            "deviation over the padding too",
            "The zeros of the padding take part in your deviation and make it smaller. Which entries happened?",
            _recipe(deviation=lambda advantages, mask, returns: advantages.std()),
        ),
        Misconception(
            "deviation of the returns",
            "You divide by the deviation of the rewards to go. Which numbers are to come out with deviation one?",
            _recipe(deviation=lambda advantages, mask, returns: returns[mask].std()),
        ),
        Misconception(
            "deviation of the returns, padding too",
            "You divide by the deviation of the rewards to go, with the padding's zeros among them. Which numbers are "
            "to come out with deviation one?",
            _recipe(deviation=lambda advantages, mask, returns: returns.std()),
        ),
        Misconception(
            "root mean square instead of the deviation",
            "You divide by the root of the mean square. The deviation measures from the mean of the numbers, and with "
            "episodes of unequal length that is not zero.",
            _recipe(deviation=lambda advantages, mask, returns: np.sqrt((advantages[mask] ** 2).mean())),
        ),
        Misconception(
            "deviation with n − 1",
            "You divide by n − 1 inside the deviation (torch's .std() does so unasked). Here it is n: the numbers are "
            "all there is, not a sample of something.",
            _recipe(
                deviation=lambda advantages, mask, returns: (
                    advantages[mask].std() * np.sqrt(mask.sum() / max(mask.sum() - 1, 1))
                )
            ),
        ),
        Misconception(
            "variance instead of deviation",
            "You divide by the variance. Somewhere a square root got lost.",
            _recipe(deviation=lambda advantages, mask, returns: advantages[mask].var()),
        ),
        Misconception(
            "a deviation for each time step",
            "Each step has a deviation of its own in your answer. One number for the whole batch is asked.",
            _recipe(deviation=lambda advantages, mask, returns: advantages.std(0)),
        ),
        Misconception(
            "a deviation for each episode",
            "Each episode is divided by its own deviation. One number for the whole batch is asked.",
            _recipe(deviation=lambda advantages, mask, returns: advantages.std(1, keepdims=True)),
        ),
        Misconception(
            "zero divided by zero",
            "Where all episodes fare alike, all advantages are zero and so is their deviation. Then there is nothing "
            "to learn: return zeros.",
            _recipe(divide=lambda values, deviation: values / deviation),
        ),
        Misconception(
            "baseline minus return",
            "The signs are turned round: what went better than the mean comes out negative.",
            lambda *arguments: -_recipe()(*arguments),
        ),
    ),
)

# capstone_loss, the bug hunt


def _loss_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(log_probs=[[-1.0, -2.0]], advantages=[[2.0, -1.0]], mask=[[True, True]]),
        case(
            log_probs=[[-0.5, -1.0], [-2.0, -9.0]],
            advantages=[[1.0, 2.0], [-4.0, 8.0]],
            mask=[[True, True], [True, False]],
        ),
    ]
    for shape in SHAPES:
        mask = random_mask(rng, *shape)
        log_probs = with_garbage(rng, -rng.uniform(0.1, 3, shape), mask, 10)
        advantages = with_garbage(rng, rewards_like(rng, *shape), mask, 10)
        cases.append(case(log_probs=log_probs, advantages=advantages, mask=mask))
    return cases


def _loss_oracle(log_probs, advantages, mask):
    gradient = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        gradient[i, t] = -advantages[i, t] / len(mask)
    return {"log_probs.grad": gradient}


def _loss(weight=lambda A, mask: A, score=lambda log_probs: log_probs, over=len):
    """An answer with one thing in it exchanged."""
    return lambda log_probs, A, mask: (
        -(torch.where(mask, score(log_probs) * weight(torch.where(mask, A, 0), mask), 0) / over(mask)).sum()
    )


def _every_pair(over):
    return lambda log_probs, A, mask: -(log_probs[mask][:, None] * A[mask]).sum() / over(mask)


def _loss_in_a_loop(log_probs, advantages, mask):
    loss = 0.0
    for i, t in mask.nonzero():
        loss = loss - log_probs[i, t] * advantages[i, t] / len(mask)
    return loss


def _loss_backward_inside(log_probs, advantages, mask):
    loss = _loss()(log_probs, advantages, mask)
    loss.backward()
    return loss


CAPSTONE_LOSS = Exercise(
    name="capstone_loss",
    lesson=10,
    points=3,
    minutes=15,
    difficulty=2,
    signature="capstone_loss(log_probs (N,T), advantages (N,T), mask (N,T)) -> scalar; torch, to be minimised",
    cases=_loss_cases,
    oracle=_loss_oracle,
    probe="surrogate_loss",
    references=("estimators.surrogate_loss", "estimators.gradients"),
    accepts=(
        _loss(),
        _loss_in_a_loop,
        lambda log_probs, A, mask: -(log_probs * A)[mask].sum() / len(mask),
        lambda log_probs, A, mask: -(log_probs[mask][:, None] * A[mask][:, None]).sum() / mask.shape[0],
        lambda log_probs, A, mask: -(log_probs * A * mask).sum(1).mean(),
        lambda log_probs, A, mask: -torch.einsum("nt,nt,nt->", log_probs, A, mask.double()) / len(mask),
    ),
    misconceptions=(
        Misconception(
            "mean within each trajectory",
            "The bug is still there: how much a step counts hangs on how long its episode became. Which line "
            "of the buggy code brings the length in?",
            _loss(over=lambda mask: len(mask) * mask.sum(1, keepdim=True)),
        ),
        Misconception(
            "every step with every advantage",
            "A column times a row is a table: each step meets everybody's advantage, not only its own. What shape has "
            "the product?",
            _every_pair(len),
        ),
        Misconception(
            "every step with every advantage, averaged",
            "Averaging does not repair it: each step still meets every advantage. Print the shape of the product.",
            _every_pair(lambda mask: mask.sum() ** 2),
        ),
        Misconception(
            "every step with every advantage, per step",
            "Dividing by the number of steps does not help: each of them still meets everybody's advantage. Which "
            "shape has the product?",
            _every_pair(lambda mask: mask.sum()),
        ),
        Misconception(
            "mean over all steps",
            "The pairs are right. But you divide by the number of steps; the formula divides by N, the number of "
            "trajectories.",
            _loss(over=lambda mask: mask.sum()),
        ),
        Misconception(
            "mean over the padded table",
            "You divide by N · T, padding included. How much a step counts should not hang on how long the longest "
            "episode is.",
            _loss(over=lambda mask: mask.numel()),
        ),
        Misconception(
            "divided by T",
            "You divide by the width of the arrays. The average runs over the other axis.",
            _loss(over=lambda mask: mask.shape[1]),
        ),
        Misconception(
            "mean over the living at each step",
            "You divide each time step by the number of episodes still going. N is the same for all of them.",
            _loss(over=lambda mask: mask.sum(0).clamp(min=1)),
        ),
        Misconception(
            "sum without 1/N",
            "The factor 1/N is missing: twice the batch would make twice the step.",
            _loss(over=lambda mask: 1),
        ),
        Misconception(
            "descent",
            "An optimiser makes the loss small, and log-probabilities of good actions are to become large.",
            lambda *arguments: -_loss()(*arguments),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part. Their log-probabilities and advantages are garbage.",
            lambda log_probs, A, mask: -(log_probs * A).sum() / len(mask),
        ),
        Misconception(
            "mean over everything, mask forgotten",
            "Steps that never happened take part, and the mean runs over all entries: two things to mend.",
            lambda log_probs, A, mask: -(log_probs * A).mean(),
        ),
        Misconception(
            "sum times sum",
            "You add up along time before you multiply, so that every step of an episode gets the sum of its "
            "advantages. Each step has its own.",
            _loss(weight=lambda A, mask: A.sum(1, keepdim=True)),
        ),
        Misconception(
            "the first advantage at every step",
            "All steps of an episode get the advantage of its first one. Each has its own.",
            _loss(weight=lambda A, mask: A[:, :1]),
        ),
        Misconception(
            "the mean advantage for everyone",
            "Every step gets the batch's mean advantage. Each has its own.",
            _loss(weight=lambda A, mask: A[mask].mean()),
        ),
        Misconception(
            "advantages left out",
            "The advantages have got lost: every action is made likelier, good or bad.",
            _loss(weight=lambda A, mask: 1.0),
        ),
        Misconception(
            "advantages without their sign",
            "The sign of the advantages is lost. What went worse than expected should become rarer.",
            _loss(weight=lambda A, mask: A.abs()),
        ),
        Misconception(
            "only good steps",
            "Steps with a negative advantage are dropped. They have something to say, too.",
            _loss(weight=lambda A, mask: A.clamp(min=0)),
        ),
        Misconception(
            "probabilities instead of their logarithm",
            "You weight probabilities. The score is the gradient of their *logarithm*, and that is what came in.",
            _loss(score=torch.exp),
        ),
        Misconception(
            "one loss for each step",
            "You return a loss for each step. Which sum is still missing, and which mean?",
            lambda log_probs, A, mask: -log_probs * A * mask,
        ),
        Misconception(
            "one loss for each trajectory",
            "You return a loss for each trajectory. Average them.",
            lambda log_probs, A, mask: -(log_probs * A * mask).sum(1),
        ),
        Misconception(
            "the graph cut off",
            "The path back to log_probs has been cut, by detach(), .data or a detour through NumPy. Without it there "
            "is no gradient.",
            lambda log_probs, A, mask: _loss()(log_probs.detach(), A, mask),
        ),
        Misconception(
            "backward called inside",
            "backward() belongs to whoever trains with your loss. Return it and leave the rest to them.",
            _loss_backward_inside,
        ),
    ),
)

# capstone, the trainer

EPISODES = (34, 33, 33)  # fresh ones after each training, 100 in all
GOAL = 475
CHANCE = 30  # a coin toss keeps the pole up for 22 steps on average, and 100 coin tosses never for 30


def _capstone_cases(seed):
    """Training seeds that follow one another, and dice for the fresh episodes."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(10**6))
    dice = rng.integers(10**6, size=len(EPISODES)).tolist()
    return [case(seed=first + k, episodes=EPISODES[k], dice=dice[k]) for k in range(len(EPISODES))]


def _play(call, inputs):
    """Trains once, asks the trained one about 200 observations, and plays fresh episodes with it."""
    seed, rng = inputs["seed"], np.random.default_rng(inputs["dice"])

    def act(observations, _):
        outcome = call({"seed": seed, "observations": np.asarray(observations, dtype=np.float64)})
        return _checked(outcome["actions"], len(observations))

    try:
        call({"seed": seed})
        asked = np.random.default_rng(0).uniform(-1, 1, (200, 4)) * [2, 2, 0.2, 2]
        answers = act(asked, None)
        envs = rollouts.make("CartPole-v1", inputs["episodes"])
        fresh = rollouts.collect(envs, SimpleNamespace(act=act), inputs["episodes"], rng)
    except Problem as problem:
        known = KEYS.get(problem.key, problem.key)
        raise Problem(problem.kind, problem.message, known) from None
    return {"returns": fresh.total_rewards.astype(np.float64), "answers": answers}


KEYS = {
    "no act": "something else than a function",
    "returned a Categorical,": "the distribution instead of actions",
    "returned None": "act returns nothing",
}


def _checked(actions, count):
    """The actions (N,) of int64, or a Problem. Whole floats are welcome: a list of Python's ints crosses as such."""
    if actions.shape != (count,):
        got = f"shape {actions.shape}" if actions.ndim else "a single number, shape (),"
        symptom = {
            (): "one action for all rows",
            (2,): "arg-max over the wrong axis",
            (count, 1): "a column of actions",
            (count, 2): "two numbers for each row",
        }.get(actions.shape, f"shape {actions.shape}")
        expected = f"expected ({count},) for {count} observations"
        raise Problem("shape", f"gave actions of {got} {expected}", symptom)
    for action in actions[(actions != 0) & (actions != 1)][:1]:
        symptom = "floats instead of actions" if action % 1 else "actions that do not exist"
        raise Problem("not numbers", f"gave the action {action:.4g}, expected 0 or 1", symptom)
    return actions.astype(np.int64)


def _assess(outcomes):
    returns = np.concatenate([outcome["returns"] for outcome in outcomes])
    means = np.array([outcome["returns"].mean() for outcome in outcomes])
    answers = np.stack([outcome["answers"] for outcome in outcomes])
    of = f"in {len(returns)} fresh episodes after {len(outcomes)} trainings"
    if returns.mean() >= GOAL and (answers != answers[0]).any():
        return f"mean return {returns.mean():.1f} {of}", 0, (), ""
    worst = int(means.argmin())
    rows = tuple(
        ("got", f"training {k}", f"mean return {mean:.1f}, from {each.min():.0f} to {each.max():.0f}")
        for k, (mean, each) in enumerate(zip(means, (o["returns"] for o in outcomes), strict=True), 1)
    )
    if returns.mean() >= GOAL:
        sentence = "acts exactly alike after every training, whatever the seed: expected one that learns each time"
        return sentence, 1, rows, "the same policy after every training"
    rows += (("expected", "all together", f"mean return {GOAL} or more"),)
    return f"reached a mean return of {returns.mean():.1f} {of}", worst + 1, rows, _symptom(means, answers)


def _symptom(means, answers):
    """Which mistake low returns look like, by what a policy does: the name of a misconception."""
    if means.max() >= GOAL:
        return "not every training succeeds"
    if means.max() > CHANCE:
        return "stopped too early"
    if means.max() < 15:
        return "worse than a coin toss"
    return "no better than a coin toss" if means.min() > 15 else ""


def _one_episode_each(envs, act, seed):
    """Observations (N,T,4), actions and mask (N,T) of one episode in every slot of a CartPole."""
    observations, _ = envs.reset(seed=seed)
    alive = np.ones(envs.num_envs, dtype=bool)
    steps = []
    while alive.any():
        actions = act(observations)
        steps.append((observations.copy(), actions, alive.copy()))
        observations, _, terminated, truncated, _ = envs.step(actions)
        alive &= ~(terminated | truncated)
    return [np.stack(column, 1) for column in zip(*steps, strict=True)]


def _linear_trainer(sign=1, batches=40, enough=490, baseline=lambda returns, mask: returns.mean(0), acts=None):
    """A linear policy, its gradient by hand, and Adam by hand: the quickest of the right answers."""
    scale = np.array([0.5, 0.5, 5, 0.5])

    def capstone(seed):
        rng = np.random.default_rng(seed)
        envs = rollouts.make("CartPole-v1", 32)
        theta, first, second = np.zeros((3, 4))

        def right(observations):
            return 1 / (1 + np.exp(-(observations * scale) @ theta))

        def act(observations):
            return (rng.random(len(observations)) < right(observations)).astype(np.int64)

        for k in range(batches):
            observations, actions, mask = _one_episode_each(envs, act, int(rng.integers(2**31)))
            if mask.sum(1).mean() >= enough:
                break
            advantages = _recipe(baseline=baseline)(mask * 1.0, mask, 0.99)
            score = (actions - right(observations))[..., None] * observations * scale
            gradient = sign * (score * advantages[..., None]).sum((0, 1)) / len(mask)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            step = first / (1 - 0.9 ** (k + 1)) / (np.sqrt(second / (1 - 0.999 ** (k + 1))) + 1e-8)
            theta = theta + 0.6 * step
        return (lambda observations: acts(right(observations))) if acts else act

    return capstone


def _network_trainer(seed):
    """The package's network, torch's Adam, actions as a tensor."""
    rng = np.random.default_rng(seed)
    envs = rollouts.make("CartPole-v1", 32)
    policy = MLP(4, 2, rng, hidden=(24,))
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
    done = 0
    while done < 2:
        observations, actions, mask = _one_episode_each(envs, lambda o: policy.act(o, rng), int(rng.integers(2**31)))
        done = done + 1 if mask.sum(1).mean() >= 490 else 0
        log_probs = policy(observations[mask]).log_prob(torch.as_tensor(actions[mask]))
        advantages = torch.as_tensor(_recipe()(mask * 1.0, mask, 0.995)[mask])
        optimizer.zero_grad()
        (-(log_probs * advantages).sum() / len(mask)).backward()
        optimizer.step()
    return lambda observations: policy(observations).logits.argmax(1)


def _single_precision_trainer(seed):
    """A float32 module that is handed the observations as they come, and samples."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.tensor([0.5, 0.5, 5, 0.5])
    theta = torch.zeros(4, 2, requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=0.3)
    envs = rollouts.make("CartPole-v1", 32)

    def act(observations):
        with torch.no_grad():
            probs = ((torch.as_tensor(observations) * features) @ theta).softmax(1)
            return probs.multinomial(1, generator=generator)[:, 0].numpy()

    for _ in range(40):
        observations, actions, mask = _one_episode_each(envs, act, int(torch.randint(2**31, (), generator=generator)))
        if mask.sum(1).mean() >= 490:
            break
        logits = (torch.as_tensor(observations[mask]) * features) @ theta
        log_probs = logits.log_softmax(1)[torch.arange(mask.sum()), torch.as_tensor(actions[mask])]
        advantages = torch.as_tensor(_recipe()(mask * 1.0, mask, 0.99)[mask])
        optimizer.zero_grad()
        (-(log_probs * advantages).sum() / len(mask)).backward()
        optimizer.step()
    return act


def _controller(seed):
    """Balances without having learned anything, each time a little differently."""
    lean = 0.2 + 0.001 * (seed % 100)
    return lambda observations: (observations @ [0.02, 0.05, 1.0, lean] > 0).astype(np.int64)


def _coin(seed):
    rng = np.random.default_rng(seed)
    return lambda observations: rng.integers(2, size=len(observations))


def _acting(change):
    """An answer whose actions go wrong on their way."""
    return lambda seed: lambda observations: change(_controller(seed)(observations))


CAPSTONE = Exercise(
    name="capstone",
    lesson=10,
    points=8,
    minutes=60,
    difficulty=3,
    signature="capstone(seed) -> act, with act(observations (N,4)) -> actions (N,), integers 0 or 1",
    cases=_capstone_cases,
    oracle=lambda seed, episodes, dice: {"mean return": float(GOAL)},
    probe="capstone",
    time_limit=100,
    trial=Trial(_play, _assess),
    references=(
        "reinforce.train",
        "reinforce.reinforce",
        "reinforce.standardised_to_go",
        "rollouts.collect",
        "estimators.surrogate_loss",
        "estimators.gradients",
        "estimators.log_probs",
        "estimators.rewards_to_go",
        "estimators.batch_mean_advantages",
        "estimators.leave_one_out_advantages",
        "estimators.divided_by_deviation",
    ),
    accepts=(
        _linear_trainer(),
        _linear_trainer(baseline=_others, acts=lambda right: [int(p > 0.5) for p in right]),
        _linear_trainer(acts=lambda right: right > 0.5),
        _network_trainer,
        _single_precision_trainer,
    ),
    misconceptions=(
        Misconception(
            "no better than a coin toss",
            "The pole falls as if nobody had learned anything. Does each step change the very policy that acts? Are "
            "the advantages different from zero, and does the reward end where an episode ends?",
            _coin,
        ),
        Misconception(
            "worse than a coin toss",
            "A coin toss would do better: training made it worse. Follow the sign all the way, from the advantage "
            "through the loss to the optimiser. Or is the step far too long, or does act ignore what it sees?",
            _linear_trainer(sign=-1, batches=6),
        ),
        Misconception(
            "stopped too early",
            "It has learned something, and not enough. How long does it train, and what makes it stop? If more batches "
            "change nothing, look at what you do with the steps behind the end of an episode.",
            _linear_trainer(batches=3),
        ),
        Misconception(
            "not every training succeeds",
            "One training succeeds and another does not. Run it for ten seeds of your own: is the step too long, the "
            "batch too small, or is the end declared too soon?",
            lambda seed: _controller(seed) if seed % 3 else _coin(seed),
        ),
        Misconception(
            "the same policy after every training",
            "It balances, and after three trainings with three seeds it does exactly the same. Is the seed used? Is "
            "there something in it that learns?",
            lambda seed: _controller(0),
        ),
        Misconception(
            "something else than a function",
            "The check needs your trained policy in a form that it can ask. Return a function that takes observations "
            "and gives actions.",
            lambda seed: (_coin(seed), []),
        ),
        Misconception(
            "act returns nothing",
            "capstone is fine, but the function that it returns gives nothing back. Where is its return?",
            _acting(lambda actions: None),
        ),
        Misconception(
            "the distribution instead of actions",
            "What you return gives a distribution over actions. Somebody still has to choose one.",
            lambda seed: MLP(4, 2, np.random.default_rng(seed)),
        ),
        Misconception(
            "one action for all rows",
            "A single action came back for many observations: an arg-max without an axis, or a loop that returns too "
            "early.",
            _acting(lambda actions: actions.argmax()),
        ),
        Misconception(
            "arg-max over the wrong axis",
            "Two numbers came back, one for each action: the choice ran along the rows. It should run over the "
            "actions, once for each observation.",
            _acting(lambda actions: np.eye(2)[actions].argmax(0)),
        ),
        Misconception(
            "a column of actions",
            "Your actions stand in a column. An axis of length one is left over: take it away.",
            _acting(lambda actions: actions[:, None]),
        ),
        Misconception(
            "two numbers for each row",
            "Two numbers for each observation: these look like logits or probabilities. An action is one of 0 and 1.",
            _acting(lambda actions: np.eye(2)[actions]),
        ),
        Misconception(
            "floats instead of actions",
            "Actions are integers. Is this a probability, which still has to be turned into a choice, or a choice in "
            "the wrong type?",
            _acting(lambda actions: 0.1 + 0.8 * actions),
        ),
        Misconception(
            "actions that do not exist",
            "CartPole knows two actions, 0 to the left and 1 to the right. Yours are numbered differently.",
            _acting(lambda actions: 2 * actions - 1),
        ),
    ),
)

EXERCISES = [CAPSTONE_ADVANTAGES, CAPSTONE_LOSS, CAPSTONE]
