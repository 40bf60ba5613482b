import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like

# rollout_episode: the environment follows a script, which goes on after the end of the episode


def _script(rng, steps, ends, width=2, num_actions=3, extra=3, repeated=()):
    """An episode of `steps` steps that ends as `ends` says; `extra` steps later, for who plays on, the other way.

    repeated: pairs (t, t'), where the observation before step t is shown again before step t'.
    """
    length = steps + extra
    observations = rng.permutation(np.arange((length + 1) * width)).reshape(length + 1, width) / 2 - 3
    for early, late in repeated:
        observations[late] = observations[early]
    first = rng.integers(num_actions, size=length + 1)
    flags = {"terminated": np.zeros(length, dtype=bool), "truncated": np.zeros(length, dtype=bool)}
    for name, flag in flags.items():
        flag[steps - 1 if ends in (name, "both") else length - 1] = True
    return case(
        **{
            "env.observations": observations,
            "env.rewards": rewards_like(rng, length, num_actions),
            **{f"env.{name}": flag for name, flag in flags.items()},
            "act.actions": (first[:, None] + np.arange(3)) % num_actions,
        }
    )


def _rollout_cases(seed):
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    return [
        _script(fixed, 1, "terminated", width=1, num_actions=2, extra=1),
        _script(fixed, 2, "truncated", width=1, num_actions=2, extra=1),
        _script(fixed, 2, "both", width=2, num_actions=2, extra=1),
        _script(rng, 5, "terminated"),
        _script(rng, 4, "truncated", extra=4),
        _script(rng, 6, "truncated", width=3, repeated=[(0, 2), (3, 4)]),
        _script(rng, 7, "terminated", width=1, num_actions=4, repeated=[(1, 2), (2, 5)]),
        _script(rng, 3, "both", num_actions=5),
    ]


def _rollout_oracle(env, act):
    asked, observations, actions, rewards = {}, [], [], []
    for t, observation in enumerate(env["observations"]):
        seen = tuple(observation)
        row = next(k for k, other in enumerate(env["observations"]) if tuple(other) == seen)
        action = act["actions"][row, asked.get(seen, 0) % act["actions"].shape[1]]
        asked[seen] = asked.get(seen, 0) + 1
        observations.append(observation)
        actions.append(action)
        rewards.append(env["rewards"][t, action])
        if env["terminated"][t] or env["truncated"][t]:
            break
    return {
        "observations": np.array(observations),
        "actions": np.array(actions),
        "rewards": np.array(rewards),
        "terminated": env["terminated"][t],
    }


def _either(terminated, truncated):
    return terminated[-1] or truncated[-1]


def _play(
    choose=lambda act, shown, actions: act(shown[-1]),
    plays=lambda act, shown, action: action,
    after=lambda env, shown, following: following,
    stop=_either,
    observations=lambda shown: shown[:-1],
    rewards=np.array,
    flag=lambda terminated, truncated: terminated[-1],
):
    """An answer with one thing in it exchanged. `shown` is one longer than the episode; flags: of all steps."""

    def answer(env, act):
        shown, actions, earned, terminated, truncated = [env.reset()[0]], [], [], [], []
        while not actions or not stop(terminated, truncated):
            actions.append(choose(act, shown, actions))
            following, reward, ended, cut, _ = env.step(plays(act, shown, actions[-1]))
            earned.append(reward)
            terminated.append(ended)
            truncated.append(cut)
            shown.append(after(env, shown, following))
        return np.array(observations(shown)), np.array(actions), rewards(earned), flag(terminated, truncated)

    return answer


def _rollout_preallocated(env, act):
    observation = torch.tensor(env.reset(seed=3)[0])
    steps, over, terminated = [], False, False
    while not over:
        action = act(observation.numpy())
        following, reward, terminated, truncated, _ = env.step(np.int64(action))
        steps.append((observation, torch.tensor(action), torch.tensor(reward)))
        observation, over = torch.tensor(following), terminated or truncated
    observations, actions, rewards = (torch.stack(column) for column in zip(*steps, strict=True))
    return observations, actions, rewards.float(), np.bool_(terminated)


def _rollout_lists(env, act):
    observation, _info = env.reset()
    trajectory, terminated, truncated = [], False, False
    while not (terminated or truncated):
        trajectory.append([observation, act(observation)])
        observation, reward, terminated, truncated, _info = env.step(trajectory[-1][1])
        trajectory[-1].append(reward)
    return [list(column) for column in zip(*trajectory, strict=True)] + [terminated]


def _four_from_step(env, act):
    observation, _ = env.reset()
    _, _, done, _ = env.step(act(observation))
    return done


def _last_step_dropped(env, act):
    *columns, terminated = _play()(env, act)
    return *(column[:-1] for column in columns), terminated


EXERCISE = Exercise(
    name="rollout_episode",
    lesson=3,
    place=1,
    points=4,
    minutes=20,
    difficulty=2,
    signature=(
        "rollout_episode(env, act) -> (observations (T,D), actions (T,), rewards (T,), terminated bool); one whole "
        "episode of a Gymnasium environment, with act(observation (D,)) -> action called once a step; observations[t] "
        "is what actions[t] was chosen on"
    ),
    cases=_rollout_cases,
    oracle=_rollout_oracle,
    probe="rollout_episode",
    references=("rollouts.collect",),
    accepts=(_play(), _rollout_preallocated, _rollout_lists),
    misconceptions=(
        Misconception(
            "observation after the action recorded",
            "Your observations are one step late: each is what the action led to. The score needs what the policy saw "
            "when it chose.",
            _play(observations=lambda shown: shown[1:]),
        ),
        Misconception(
            "last observation kept as well",
            "There is one observation more than there are actions: nobody acts on the last one, so it belongs to no "
            "step.",
            _play(observations=lambda shown: shown),
        ),
        Misconception(
            "observation never updated",
            "The policy sees the first observation for the whole episode. After a step there is a new one: who hands "
            "it on?",
            _play(after=lambda env, shown, following: shown[0]),
        ),
        Misconception(
            "acts on the first observation",
            "You record the observations well, but act looks at the first one all the time. It should choose on what "
            "is recorded next to its action.",
            _play(choose=lambda act, shown, actions: act(shown[0])),
        ),
        Misconception(
            "one action for the whole episode",
            "act is asked once, before the loop. A policy chooses anew at every step.",
            _play(choose=lambda act, shown, actions: actions[0] if actions else act(shown[0])),
        ),
        Misconception(
            "action asked for a second time",
            "act is asked twice a step, and a policy that samples answers differently each time: what you record is "
            "not what was played.",
            _play(plays=lambda act, shown, action: act(shown[-1])),
        ),
        Misconception(
            "time limit ignored",
            "You play on after truncated. An episode is over when it ended by itself *or* when the time was up.",
            _play(stop=lambda terminated, truncated: terminated[-1]),
        ),
        Misconception(
            "end of the episode ignored",
            "You play on after terminated and stop at the time limit only. What the environment says after the end "
            "belongs to no episode.",
            _play(stop=lambda terminated, truncated: truncated[-1]),
        ),
        Misconception(
            "stops only when both flags are set",
            "You wait until terminated and truncated are both True. One of the two is enough to end an episode.",
            _play(stop=lambda terminated, truncated: terminated[-1] and truncated[-1]),
        ),
        Misconception(
            "never stops",
            "Nothing ends your loop: look at the two flags that env.step returns.",
            _play(stop=lambda terminated, truncated: False),
        ),
        Misconception(
            "one step too many",
            "You notice the end one step late and record a step that belongs to no episode. Look at the flags right "
            "after env.step.",
            _play(
                stop=lambda terminated, truncated: terminated[1:] and _either(terminated[:-1], truncated[:-1]),
                flag=lambda terminated, truncated: terminated[-2],
            ),
        ),
        Misconception(
            "last step dropped",
            "The last step is missing, and with it the last reward, often the one that matters. Record first, then "
            "leave the loop.",
            _last_step_dropped,
        ),
        Misconception(
            "truncated taken for terminated",
            "You call every end terminated. An episode cut off by the clock did not end by itself, and later lessons "
            "need to know.",
            _play(flag=_either),
        ),
        Misconception(
            "truncated returned",
            "The wrong one of the two flags: True is for an episode that ended by itself.",
            _play(flag=lambda terminated, truncated: truncated[-1]),
        ),
        Misconception(
            "not truncated returned",
            "Not cut off is almost, but not quite, the same as ended: both can happen in the same step. There is a "
            "flag that says it directly.",
            _play(flag=lambda terminated, truncated: not truncated[-1]),
        ),
        Misconception(
            "terminated never set",
            "Your terminated is always False. It should tell how this episode ended.",
            _play(flag=lambda terminated, truncated: False),
        ),
        Misconception(
            "a flag for every step",
            "One flag for the whole episode is asked, the one of its last step.",
            _play(flag=lambda terminated, truncated: terminated),
        ),
        Misconception(
            "total reward instead of the rewards",
            "You add the rewards up. Keep them step by step: later lessons ask when each was earned.",
            _play(rewards=sum),
        ),
        Misconception(
            "rewards accumulated",
            "Each of your rewards contains those before it. r_t is what the action at t earned, alone.",
            _play(rewards=np.cumsum),
        ),
        Misconception(
            "rewards one step late",
            "Your rewards begin with a zero: each stands beside the action *after* the one that earned it. rewards[t] "
            "belongs to actions[t].",
            _play(rewards=lambda earned: np.append(0, earned[:-1])),
        ),
        Misconception(
            "reset at every step",
            "The environment starts anew in every step of your loop. One episode has one reset, at its beginning.",
            _play(after=lambda env, shown, following: env.reset()[0]),
        ),
        Misconception(
            "reset's result not unpacked",
            "env.reset() returns two things, the observation and a dictionary of information; you pass both on as if "
            "they were the observation.",
            lambda env, act: act(env.reset()),
        ),
        Misconception(
            "four results from step",
            "env.step returns five things: observation, reward, terminated, truncated and information. Older code "
            "unpacks four.",
            _four_from_step,
        ),
    ),
)
