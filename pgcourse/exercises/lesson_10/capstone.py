from types import SimpleNamespace

import numpy as np
import torch

from pgcourse import rollouts
from pgcourse.exercises import Exercise, Misconception, Trial
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_10.shared import mean_of_others, recipe
from pgcourse.judging import calling
from pgcourse.judging.calling import Problem
from pgcourse.judging.statuses import Status
from pgcourse.policies import MLP

# capstone, the trainer

EPISODES = (34, 33, 33)  # fresh ones after each training, 100 in all
GOAL = 475
CHANCE = 30  # a coin toss keeps the pole up for 22 steps on average, and 100 coin tosses never for 30


def _capstone_cases(seed):
    """Training seeds that follow one another, each with a disguise, and dice for the fresh episodes."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(10**6))
    dice = rng.integers(10**6, size=len(EPISODES)).tolist()
    return [case(seed=first + k, **_disguise(rng), episodes=EPISODES[k], dice=dice[k]) for k in range(len(EPISODES))]


def _disguise(rng):
    """The readings, brought to one size, turned by any rotation of four dimensions; and whether left is right."""
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    return {"mixing": np.diag([0.5, 0.5, 5, 0.5]) @ rotation, "swapped": int(rng.integers(2))}


def _play(call, inputs):
    """Trains once, asks the trained one about 200 states, and plays fresh episodes with it, all in the same disguise.

    answers: to the states, whatever they were disguised as. open: what it earns in CartPoles without a disguise, where
    it fails in its own.
    """
    mixing, swapped, episodes = inputs["mixing"], inputs["swapped"], inputs["episodes"]
    rng = np.random.default_rng(inputs["dice"])

    def act(observations, _):
        outcome = call({"observations": np.asarray(observations, dtype=np.float64)})
        return _checked(outcome["actions"], len(observations))

    def returns(envs):
        return rollouts.collect(envs, SimpleNamespace(act=act), envs.num_envs, rng).total_rewards.astype(np.float64)

    try:
        call({"seed": inputs["seed"], "mixing": mixing, "swapped": swapped})
        states = np.random.default_rng(0).uniform(-1, 1, (200, 4)) * [2, 2, 0.2, 2]
        answers = act(states @ mixing, None) ^ swapped
        fresh = returns(calling.DisguisedCartPoles(episodes, mixing, swapped))
        plain = returns(rollouts.make("CartPole-v1", 10)) if fresh.mean() < GOAL else fresh
    except Problem as problem:
        known = KEYS.get(problem.key, problem.key)
        raise Problem(problem.kind, problem.message, known) from None
    return {"returns": fresh, "answers": answers, "open": plain}


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
        raise Problem(Status.SHAPE, f"gave actions of {got} {expected}", symptom)
    for action in actions[(actions != 0) & (actions != 1)][:1]:
        symptom = "floats instead of actions" if action % 1 else "actions that do not exist"
        raise Problem(Status.NOT_NUMBERS, f"gave the action {action:.4g}, expected 0 or 1", symptom)
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
        sentence = "acts exactly alike after every training, whatever the world: expected one that learns each time"
        return sentence, 1, rows, "the same policy after every training"
    rows += (("expected", "all together", f"mean return {GOAL} or more"),)
    symptom = _symptom(means, min(outcome["open"].mean() for outcome in outcomes))
    return f"reached a mean return of {returns.mean():.1f} {of}", worst + 1, rows, symptom


def _symptom(means, in_the_open):
    """Which mistake low returns look like, by what a policy does: the name of a misconception."""
    if in_the_open >= GOAL:
        return "trained in another world"
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

    def capstone(make, seed):
        rng = np.random.default_rng(seed)
        envs, good = make(32), 0
        theta, first, second = np.zeros((3, 4))

        def right(observations):
            return 1 / (1 + np.exp(-observations @ theta))

        def act(observations):
            return (rng.random(len(observations)) < right(observations)).astype(np.int64)

        for k in range(batches):
            observations, actions, mask = _one_episode_each(envs, act, int(rng.integers(2**31)))
            good = good + 1 if mask.sum(1).mean() >= enough else 0
            if good == 2:
                break
            advantages = recipe(baseline=baseline)(mask * 1.0, mask, 0.99)
            score = (actions - right(observations))[..., None] * observations
            gradient = sign * (score * advantages[..., None]).sum((0, 1)) / len(mask)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            step = first / (1 - 0.9 ** (k + 1)) / (np.sqrt(second / (1 - 0.999 ** (k + 1))) + 1e-8)
            theta = theta + 0.6 * step
        return (lambda observations: acts(right(observations))) if acts else act

    return capstone


def _network_trainer(make, seed):
    """The package's network, torch's Adam, actions as a tensor."""
    rng = np.random.default_rng(seed)
    envs = make(32)
    policy = MLP(4, 2, rng, hidden=(24,))
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
    done = 0
    while done < 2:
        observations, actions, mask = _one_episode_each(envs, lambda o: policy.act(o, rng), int(rng.integers(2**31)))
        done = done + 1 if mask.sum(1).mean() >= 490 else 0
        log_probs = policy(observations[mask]).log_prob(torch.as_tensor(actions[mask]))
        advantages = torch.as_tensor(recipe()(mask * 1.0, mask, 0.995)[mask])
        optimizer.zero_grad()
        (-(log_probs * advantages).sum() / len(mask)).backward()
        optimizer.step()
    return lambda observations: policy(observations).logits.argmax(1)


def _single_precision_trainer(make, seed):
    """A float32 module that is handed the observations as they come, and samples."""
    generator = torch.Generator().manual_seed(seed)
    theta = torch.zeros(4, 2, requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=0.3)
    envs, good = make(32), 0

    def act(observations):
        with torch.no_grad():
            probs = (torch.as_tensor(observations) @ theta).softmax(1)
            return probs.multinomial(1, generator=generator)[:, 0].numpy()

    for _ in range(40):
        observations, actions, mask = _one_episode_each(envs, act, int(torch.randint(2**31, (), generator=generator)))
        good = good + 1 if mask.sum(1).mean() >= 490 else 0
        if good == 2:
            break
        logits = torch.as_tensor(observations[mask]) @ theta
        log_probs = logits.log_softmax(1)[torch.arange(mask.sum()), torch.as_tensor(actions[mask])]
        advantages = torch.as_tensor(recipe()(mask * 1.0, mask, 0.99)[mask])
        optimizer.zero_grad()
        (-(log_probs * advantages).sum() / len(mask)).backward()
        optimizer.step()
    return act


def _controller(make, seed):
    """Balances without having learned anything, by looking behind the disguise, each time a little differently."""
    hidden = dict(zip(make.__code__.co_freevars, (cell.cell_contents for cell in make.__closure__), strict=True))
    weights = np.linalg.inv(hidden["mixing"]) @ [0.02, 0.05, 1.0, 0.2 + 0.001 * (seed % 100)]
    return lambda observations: (observations @ weights > 0) ^ hidden["swapped"]


def _coin(make, seed):
    rng = np.random.default_rng(seed)
    return lambda observations: rng.integers(2, size=len(observations))


def _acting(change):
    """An answer whose actions go wrong on their way."""
    return lambda make, seed: lambda observations: change(_controller(make, seed)(observations))


EXERCISE = Exercise(
    name="capstone",
    lesson=10,
    place=3,
    points=8,
    minutes=60,
    difficulty=3,
    signature="capstone(make, seed) -> act, with act(observations (N,4)) -> actions (N,), integers 0 or 1",
    cases=_capstone_cases,
    oracle=lambda seed, mixing, swapped, episodes, dice: {"mean return": float(GOAL)},
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
        _linear_trainer(baseline=mean_of_others, acts=lambda right: [int(p > 0.5) for p in right]),
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
            "trained in another world",
            "It balances a CartPole that nobody has disguised. The one it is judged in is another: train in the "
            "environments that `make` gives.",
            lambda make, seed: _linear_trainer()(lambda num_envs: rollouts.make("CartPole-v1", num_envs), seed),
        ),
        Misconception(
            "not every training succeeds",
            "One training succeeds and another does not. Run it for ten seeds of your own: is the step too long, the "
            "batch too small, or is the end declared too soon?",
            lambda make, seed: _controller(make, seed) if seed % 3 else _coin(make, seed),
        ),
        Misconception(
            "the same policy after every training",
            "It balances, and under three disguises it does exactly the same. Is the seed used? Is there something in "
            "it that learns?",
            lambda make, seed: _controller(make, 0),
        ),
        Misconception(
            "something else than a function",
            "The check needs your trained policy in a form that it can ask. Return a function that takes observations "
            "and gives actions.",
            lambda make, seed: (_coin(make, seed), []),
        ),
        Misconception(
            "act returns nothing",
            "capstone is fine, but the function that it returns gives nothing back. Where is its return?",
            _acting(lambda actions: None),
        ),
        Misconception(
            "the distribution instead of actions",
            "What you return gives a distribution over actions. Somebody still has to choose one.",
            lambda make, seed: MLP(4, 2, np.random.default_rng(seed)),
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
