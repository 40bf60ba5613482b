import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, mask_of, padded_rewards, random_masks
from pgcourse.exercises.lesson_6.shared import (
    IN_BOTH,
    but_last,
    by_episode,
    discounted,
    discounts,
    forwards,
    in_rows,
    powers,
    standardised_steps,
    to_go,
    zeroed,
)
from pgcourse.exercises.pieces import backwards


def _discounted_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards=[[1.0, 2.0, 3.0]], mask=mask_of([3]), discount=0.5),
        case(rewards=[[1, 2, 3], [2, 7, -9]], mask=mask_of([3, 1]), discount=0.5),
        case(rewards=[[1, 1, 1]], mask=mask_of([3]), discount=0.75),
        case(rewards=[[2.0, -1.0, 4.0], [3.0, 50.0, -80.0]], mask=mask_of([3, 1]), discount=0.0),
        case(rewards=[[1.0, -2.0, 90.0, -60.0]], mask=mask_of([2], 4), discount=1.0),
        case(rewards=[[-1.5]], mask=[[True]], discount=0.9),
    ]
    for mask, discount in zip(random_masks(rng), (0.9, 0.5, 0.8, 0.95, 0.25, 0.7), strict=True):
        cases.append(case(rewards=padded_rewards(rng, mask, 1000), mask=mask, discount=discount))
    return cases


def _discounted_oracle(rewards, mask, discount):
    returns = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        for later in range(t, mask.shape[1]):
            if mask[i, later]:
                returns[i, t] += discount ** (later - t) * rewards[i, later]
    return returns


def _discounted_torch(rewards, mask, discount):
    kept = torch.as_tensor(rewards * mask, dtype=torch.float64)
    columns = [torch.zeros(len(kept), dtype=torch.float64)]
    for t in reversed(range(kept.shape[1])):
        columns.append(kept[:, t] + discount * columns[-1])
    return torch.stack(columns[:0:-1], 1)


def _recursion(step):
    """G_t = step(r_t, G_{t+1}, γ), episode by episode, from the last step to the first."""

    def one(rewards, discount):
        out, running = [], 0.0
        for r in rewards[::-1]:
            running = step(r, running, discount)
            out.append(running)
        return np.array(out[::-1])

    return by_episode(one)


def _in_its_own_type(rewards, mask, discount):
    out = np.zeros_like(rewards)
    out[:] = to_go(rewards, mask, discount)
    return out


def _integer_recursion(rewards, mask, discount):
    out, running = np.zeros_like(rewards), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        out[:, t] = rewards[:, t] * mask[:, t] + discount * running
        running = out[:, t]
    return out


def _in_place_integers(rewards, mask, discount):
    out = np.where(mask, rewards, 0)
    for t in reversed(range(rewards.shape[1] - 1)):
        out[:, t] += discount * out[:, t + 1]
    return out


def _through_padding(rewards, mask, discount):
    return to_go(rewards, np.ones_like(mask), discount)


def _carried_over(rows=iter, steps=np.flatnonzero):
    """One running sum for all rows, in the order rows(0 … N − 1), and for the steps(mask (T,)) of each, backwards."""

    def answer(rewards, mask, discount):
        out, running = np.zeros(mask.shape), 0.0
        for i in rows(range(len(mask))):
            for t in steps(mask[i])[::-1]:
                running = rewards[i, t] * mask[i, t] + discount * running
                out[i, t] = running
        return out

    return answer


def _power_in_recursion(rewards, mask, discount):
    out, running = np.zeros(mask.shape), np.zeros(len(mask))
    for t in reversed(range(mask.shape[1])):
        running = (rewards[:, t] + discount**t * running) * mask[:, t]
        out[:, t] = running
    return out


EXERCISE = Exercise(
    name="discounted_rewards_to_go",
    lesson=6,
    place=3,
    points=3,
    minutes=12,
    difficulty=2,
    signature="discounted_rewards_to_go(rewards (N,T), mask (N,T), discount) -> (N,T), zero where mask is False",
    cases=_discounted_cases,
    oracle=_discounted_oracle,
    references=("estimators.rewards_to_go",),
    accepts=(
        lambda r, mask, discount: in_rows(zeroed(r, mask), discount),
        lambda r, mask, discount: (
            zeroed(r, mask).astype(np.float32) @ discounts(r.shape[1], discount).astype(np.float32)
        ),
        lambda r, mask, discount: np.stack(
            [zeroed(r, mask)[:, t:] @ discount ** np.arange(r.shape[1] - t) for t in range(r.shape[1])], 1
        ),
        lambda r, mask, discount: by_episode(discounted)(r, mask, discount).tolist(),
        _recursion(lambda r, later, discount: r + discount * later),
        to_go,
        _discounted_torch,
    ),
    misconceptions=(
        Misconception(
            "accumulated from the start",
            "Your sum runs from the past into the present: old rewards fade. It should look the other way, at what is "
            "still to come.",
            by_episode(forwards),
        ),
        Misconception(
            "accumulated from the start, discount counted from the start",
            "You add up what has been earned so far, discounted from the first step on. At step t, the sum begins "
            "with r_t and looks ahead.",
            by_episode(lambda r, discount: (powers(r, discount) * r).cumsum()),
        ),
        Misconception(
            "accumulated from the start, going on through the padding",
            "The past fades into the present here, and goes on fading behind the end. Two turns: look ahead instead of "
            "back, and put zeros where nothing happened.",
            lambda r, mask, discount: zeroed(r, mask) @ discounts(r.shape[1], discount).T,
        ),
        Misconception(
            "past and future",
            "You discount by the distance, in both directions. Only what lies ahead of t is still to come.",
            by_episode(lambda r, discount: forwards(r, discount) + discounted(r, discount) - r),
        ),
        Misconception(
            "past and future, result not masked",
            "You discount by the distance in both directions, and the sums go on behind the end of an episode. What is "
            "still to come lies ahead, and there is an end to it.",
            lambda r, mask, discount: (
                zeroed(r, mask) @ (discounts(r.shape[1], discount) + np.tril(discounts(r.shape[1], discount), -1).T)
            ),
        ),
        Misconception(
            "left reversed",
            "The right numbers in the wrong order: they were collected from the last step on, and entry 0 belongs to "
            "the first.",
            by_episode(lambda r, discount: discounted(r, discount)[::-1]),
        ),
        Misconception(
            "left reversed, over the whole row",
            "You collect the sums from the right end of the row and never turn them round, so that in short episodes "
            "they end up in the padding, too.",
            lambda r, mask, discount: in_rows(zeroed(r, mask), discount)[:, ::-1],
        ),
        Misconception(
            "absolute discount",
            "Your γ counts from the first step: entry t is γ^(t−1) times what is asked. For the objective J_γ these "
            "are the right weights, as (6.9) says; here, what is r_t itself worth at t?",
            by_episode(lambda r, discount: powers(r, discount) * discounted(r, discount)),
        ),
        Misconception(
            "discounted full return at every step",
            "Every step gets the same number, the discounted return of the whole episode. What lies before t has no "
            "place in it, and γ counts from t on.",
            by_episode(lambda r, discount: np.full(len(r), discounted(r, discount)[0])),
        ),
        Misconception(
            "one number for each trajectory",
            "You return one discounted return for each trajectory. Every step has one of its own: the result has the "
            "shape of rewards.",
            lambda r, mask, discount: to_go(r, mask, discount)[:, 0],
        ),
        Misconception(
            "own reward only",
            "Each step gets its own reward and nothing of what follows. Either the loop runs forwards and reads what "
            "is not there yet, or the sum is set back at every step.",
            lambda r, mask, discount: zeroed(r, mask),
        ),
        Misconception(
            "own reward, discounted",
            "You discount each reward, and add nothing up: γ^(t−1) r_t is one term of the first step's sum. Where are "
            "the others?",
            by_episode(lambda r, discount: powers(r, discount) * r),
        ),
        Misconception(
            "own reward left out",
            "r_t is missing from its own sum. It is the reward of a_t itself, and it counts in full.",
            by_episode(lambda r, discount: discounted(r, discount) - r),
        ),
        Misconception(
            "sum of the next step",
            "Entry t holds what belongs to the step after it. A running sum is written down before, or after, the "
            "step's own reward joins: which is right?",
            by_episode(lambda r, discount: np.append(discounted(r, discount)[1:], 0)),
        ),
        Misconception(
            "discount left out",
            "γ plays no part: a reward ten steps away counts as much as the next. By which factor does a reward shrink "
            "for each step that it lies ahead?",
            lambda r, mask, discount: backwards(zeroed(r, mask)),
        ),
        Misconception(
            "0.99 whatever the discount",
            "A discount of 0.99 stands in the code, whatever is asked. The argument says what γ is.",
            by_episode(lambda r, _: discounted(r, 0.99)),
        ),
        Misconception(
            "integer array from integer rewards",
            "Whole-number rewards give whole-number results here: np.zeros_like takes over the *type* of rewards, and "
            "what stands behind the point is cut off. Which type should the result have?",
            _integer_recursion,
        ),
        Misconception(
            "result stored as integers",
            "Where the rewards are whole numbers, your result is cut to whole numbers at the end: the array that takes "
            "it was made in the likeness of rewards.",
            _in_its_own_type,
        ),
        Misconception(
            "fractions added to an integer array",
            "NumPy refuses to add fractions to an array of whole numbers, which is what you have where the rewards are "
            "whole. Which type should your working copy have?",
            _in_place_integers,
        ),
        Misconception(
            "discounted twice",
            "The discount acts twice for every step: γ² where γ is asked. Do a power and a running product both take "
            "part?",
            by_episode(lambda r, discount: discounted(r, discount**2)),
        ),
        Misconception(
            "absolute discount, and the recursion's on top",
            "Rewards are discounted from the first step on, and then once more on their way back. One of the two is "
            "enough, and only one of them counts from t.",
            by_episode(lambda r, discount: discounted(powers(r, discount) * r, discount)),
        ),
        Misconception(
            "discount on the own reward too",
            "Your sum begins with γ r_t. A reward that is paid now is not in the future: how many steps lie between "
            "t and t?",
            by_episode(lambda r, discount: discount * discounted(r, discount)),
        ),
        Misconception(
            "discount on the reward instead of the future",
            "Here every reward carries one factor γ, near or far. The own reward counts in full, and each further step "
            "costs one factor more: what does γ multiply in (6.4)?",
            _recursion(lambda r, later, discount: discount * r + later),
        ),
        Misconception(
            "one minus the discount",
            "The future is multiplied by 1 − γ. With γ = 1 nothing of it would be left, yet that is where it should "
            "count in full.",
            by_episode(lambda r, discount: discounted(r, 1 - discount)),
        ),
        Misconception(
            "only one step ahead",
            "Only the next reward joins in. It should be the next step's whole *sum*, discounted once.",
            by_episode(lambda r, discount: r + discount * np.append(r[1:], 0)),
        ),
        Misconception(
            "one factor for the whole future",
            "Everything that lies ahead shrinks by the same γ, be it one step away or ten. Each further step costs "
            "another factor.",
            by_episode(lambda r, discount: r + discount * (backwards(r, 0) - r)),
        ),
        Misconception(
            "divided by powers of the discount",
            "Dividing by γ^t works on paper. With γ = 0 it is 0/0, and over thousands of steps γ^t underflows: find a "
            "way that never divides.",
            by_episode(lambda r, discount: backwards(powers(r, discount) * r, 0) / powers(r, discount)),
        ),
        Misconception(
            "divided by powers of the discount, over the whole row",
            "Dividing by γ^t works on paper. At γ = 0 it is 0/0, and over thousands of steps γ^t underflows; the other "
            "form of (6.4) never divides.",
            lambda r, mask, discount: backwards(powers(r[0], discount) * zeroed(r, mask)) / powers(r[0], discount),
        ),
        Misconception(
            "powers with the sign turned round",
            "Your exponent is t − t′, which is negative for everything that lies ahead: later rewards grow instead of "
            "shrinking. Which of the two times is the larger?",
            by_episode(
                lambda r, discount: [
                    sum(discount ** (t - later) * r[later] for later in range(t, len(r))) for t in range(len(r))
                ]
            ),
        ),
        Misconception(
            "negative powers at zero discount",
            "Right wherever γ > 0. At γ = 0 you also compute powers that nobody needs, with negative exponents, and "
            "1/0 is no number.",
            lambda r, mask, discount: (
                zeroed(r, mask) @ np.tril([[discount ** (u - t) for t in range(r.shape[1])] for u in range(r.shape[1])])
            ),
        ),
        Misconception(
            "powers of the discount on sums without one",
            "You add up first, undiscounted, and multiply with γ^(t−1) afterwards. Within the sum each reward has a "
            "factor of its own: its distance from t.",
            by_episode(lambda r, discount: powers(r, discount) * backwards(r, 0)),
        ),
        Misconception(
            "a power of the discount in the recursion",
            "The recursion multiplies with γ^t at each step, which piles powers upon powers. One step back in time "
            "costs one factor.",
            _power_in_recursion,
        ),
        Misconception(
            "discounted total",
            "You discount the total reward by γ^(t−1). What lies before t should be gone, and each reward shrinks by "
            "its own distance from t.",
            by_episode(lambda r, discount: powers(r, discount) * r.sum()),
        ),
        Misconception(
            "discount counted from the end",
            "The nearest rewards shrink most, and the last of the episode counts in full: your powers of γ run in the "
            "opposite direction. Which reward of the sum should count in full?",
            by_episode(lambda r, discount: backwards(powers(r, discount)[::-1] * r, 0)),
        ),
        Misconception(
            "last column left out",
            "The last column of the array never enters. Does a range or a slice stop one too early?",
            lambda r, mask, discount: in_rows(zeroed(r, mask & but_last(r)), discount),
        ),
        Misconception(
            "last reward left out",
            "The last reward of every episode is missing, often the one that matters most. Where does your sum end?",
            by_episode(lambda r, discount: discounted(np.append(r[:-1], 0), discount)),
        ),
        IN_BOTH["mask on the running sum only"],
        IN_BOTH["mask on the running sum only, and on the result"],
        Misconception(
            "last column taken as it is",
            "The recursion masks every column but the one that it begins with. In short episodes that column is "
            "padding, and from there it flows everywhere.",
            lambda r, mask, discount: in_rows(np.where(but_last(r), zeroed(r, mask), r), discount),
        ),
        IN_BOTH["last column taken as it is, result masked"],
        IN_BOTH["first column left as it was"],
        IN_BOTH["index −1 at the start of the row"],
        Misconception(
            "leaking through the padding",
            "What stands behind the end of an episode flows back into it. Masking the result comes too late: the sum "
            "must not pick the padding up at all.",
            lambda r, mask, discount: _through_padding(r, mask, discount) * mask,
        ),
        Misconception(
            "mask ignored",
            "The padding is taken for rewards. It may hold any numbers: what does the mask tell you about them?",
            _through_padding,
        ),
        Misconception(
            "padding not zeroed",
            "Every real step is right, and the padding still holds what it held. Where the mask is False, zero is "
            "asked.",
            lambda r, mask, discount: np.where(mask, to_go(r, mask, discount), r),
        ),
        Misconception(
            "mask the wrong way round",
            "You keep the padding and throw the episode away. What does True in the mask stand for?",
            lambda r, mask, discount: to_go(r, ~mask, discount),
        ),
        Misconception(
            "flowing from one row into the one before",
            "Each episode also gets what the one listed after it earns. Set the running sum back to zero where a new "
            "row begins.",
            _carried_over(rows=reversed),
        ),
        Misconception(
            "running sum never set back to zero",
            "From the second trajectory on, what earlier ones earned is in there too. Where does your running sum "
            "begin anew?",
            _carried_over(),
        ),
        Misconception(
            "running sum never set back to zero, nor the padding",
            "From the second trajectory on, what earlier ones earned flows in at the end of the row, through the "
            "padding. Where does your running sum begin anew?",
            _carried_over(steps=lambda mask: range(len(mask))),
        ),
        Misconception(
            "everybody's rewards together",
            "At each time you add up what is still to come for *all* trajectories. A sum without an axis takes the "
            "whole array: which axis is the episode's own?",
            lambda r, mask, discount: in_rows(zeroed(r, mask), discount).sum(0) * mask,
        ),
        IN_BOTH["a list for each episode, as long as it lasted"],
        Misconception(
            "batch treated as one long row",
            "Here the rows hang together as one long episode. Trajectories do not follow upon each other: work along "
            "the second axis only.",
            lambda r, mask, discount: discounted(zeroed(r, mask).ravel(), discount).reshape(mask.shape) * mask,
        ),
        Misconception(
            "added up over the trajectories",
            "You go down the columns, from trajectory to trajectory, and discount on the way. Time runs along the "
            "second axis.",
            lambda r, mask, discount: discounts(len(r), discount).T @ zeroed(r, mask) * mask,
        ),
        Misconception(
            "average of what is still to come",
            "You divide by the number of steps that are left. A return is a sum.",
            by_episode(lambda r, discount: discounted(r, discount) / np.arange(len(r), 0, -1)),
        ),
        Misconception(
            "average over the rest of the row",
            "You take a mean over what is left of the row, the padding counted as zeros. A return is a sum.",
            lambda r, mask, discount: in_rows(zeroed(r, mask), discount) / np.arange(r.shape[1], 0, -1),
        ),
        Misconception(
            "averaged with the discounts as weights",
            "You divide by the sum of the discounts, which makes an average of what is still to come. The sum itself "
            "is asked.",
            by_episode(lambda r, discount: discounted(r, discount) / discounted(np.ones(len(r)), discount)),
        ),
        Misconception(
            "times one minus the discount",
            "The factor 1 − γ turns a discounted sum into an average, and at γ = 1 into nothing. Here the sum itself "
            "is asked.",
            by_episode(lambda r, discount: (1 - discount) * discounted(r, discount)),
        ),
        Misconception(
            "standardised",
            "You subtract a mean and divide by a deviation afterwards, as many programs do. That is for lesson 7; here "
            "the sums are asked as they are.",
            lambda r, mask, discount: standardised_steps(to_go(r, mask, discount), mask),
        ),
        Misconception(
            "standardised, with a tiny number below",
            "Your sums are centred and divided by their deviation plus something tiny. A step of its own, for lesson "
            "7; here the plain sums are asked.",
            lambda r, mask, discount: standardised_steps(to_go(r, mask, discount), mask, 1e-8),
        ),
    ),
)
