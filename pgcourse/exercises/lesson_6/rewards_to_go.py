import numpy as np

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, mask_of, padded_rewards, random_masks
from pgcourse.exercises.lesson_6.shared import (
    IN_BOTH,
    but_last,
    by_episode,
    discounted,
    standardised_steps,
    to_go,
    zeroed,
)
from pgcourse.exercises.pieces import backwards, in_torch, standardised


def _to_go_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards=[[1.0, 2.0, 4.0]], mask=mask_of([3])),
        case(rewards=[[2.0, -1.0, 7.0], [3.0, 50.0, -80.0]], mask=mask_of([3, 1])),
        case(rewards=[[-1.5]], mask=[[True]]),
        case(rewards=[[1.0, -2.0, 90.0, -60.0]], mask=mask_of([2], 4)),
    ]
    return cases + [case(rewards=padded_rewards(rng, mask, 1000), mask=mask) for mask in random_masks(rng)]


def _to_go_oracle(rewards, mask):
    returns = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        for later in range(t, mask.shape[1]):
            if mask[i, later]:
                returns[i, t] += rewards[i, later]
    return returns


def _to_go_lists(rewards, mask):
    result = []
    for row, happened in zip(rewards.tolist(), mask.tolist(), strict=True):
        kept = [r if m else 0.0 for r, m in zip(row, happened, strict=True)]
        result.append([sum(kept[t:]) for t in range(len(kept))])
    return result


def _again_and_again(rewards):
    out = np.zeros(len(rewards))
    for t in reversed(range(len(rewards))):
        out[t] = rewards[t] + out[t + 1 :].sum()
    return out


EXERCISE = Exercise(
    name="rewards_to_go",
    lesson=6,
    place=2,
    points=4,
    minutes=20,
    difficulty=2,
    signature="rewards_to_go(rewards (N,T), mask (N,T)) -> (N,T), zero where mask is False",
    cases=_to_go_cases,
    oracle=_to_go_oracle,
    references=("estimators.rewards_to_go",),
    accepts=(
        lambda r, mask: backwards(zeroed(r, mask)),
        lambda r, mask: zeroed(r, mask) @ np.tril(np.ones((r.shape[1], r.shape[1]))),
        lambda r, mask: (zeroed(r, mask).sum(1, keepdims=True) - zeroed(r, mask).cumsum(1) + r) * mask,
        lambda r, mask: np.stack([zeroed(r, mask)[:, t:].sum(1) for t in range(r.shape[1])], 1),
        lambda r, mask: backwards(np.where(mask, r, 0).astype(np.float32)),
        by_episode(lambda r: np.add.accumulate(r[::-1])[::-1]),
        to_go,
        _to_go_lists,
        in_torch(lambda r, mask: r.masked_fill(~mask, 0).flip(1).cumsum(1).flip(1)),
    ),
    misconceptions=(
        Misconception(
            "accumulated from the start",
            "Your sums grow from the left: what has been earned *so far*. A choice at t cannot change that. Which "
            "rewards can it still change?",
            lambda r, mask: zeroed(r, mask).cumsum(1) * mask,
        ),
        Misconception(
            "accumulated from the start, going on through the padding",
            "You add up from the start, and the sums go on behind the end of an episode. Turn the direction round, and "
            "look at what the entries where the mask is False should be.",
            lambda r, mask: zeroed(r, mask).cumsum(1),
        ),
        Misconception(
            "accumulated from the start, mask ignored",
            "Two things: the sum runs over the past instead of the future, and what the padding holds is taken for "
            "rewards.",
            lambda r, mask: r.cumsum(1),
        ),
        Misconception(
            "rewards before the step",
            "You add up exactly what was earned *before* each step, the part that gives nothing on average. It is the "
            "other part that is wanted.",
            lambda r, mask: (zeroed(r, mask).cumsum(1) - zeroed(r, mask)) * mask,
        ),
        Misconception(
            "accumulated from the start, then turned round",
            "Turning the *result* round does not turn the sums round: they still hold what came before. What has to be "
            "reversed before cumsum, and what after it?",
            lambda r, mask: zeroed(r, mask).cumsum(1)[:, ::-1],
        ),
        Misconception(
            "accumulated from the start, turned round, then masked",
            "The sums were taken from the start and only then turned round, so they hold the past. In which order do "
            "reversing and adding up go?",
            lambda r, mask: zeroed(r, mask).cumsum(1)[:, ::-1] * mask,
        ),
        Misconception(
            "left reversed",
            "The right numbers in the wrong order: after going backwards in time, your result still runs backwards. "
            "Entry 0 belongs to the first step.",
            by_episode(lambda r: r[::-1].cumsum()),
        ),
        Misconception(
            "left reversed, over the whole row",
            "You turn the rows round to add up from the end, and never turn them back. In short episodes the padding "
            "has changed sides, too.",
            lambda r, mask: zeroed(r, mask)[:, ::-1].cumsum(1),
        ),
        Misconception(
            "left reversed, then masked",
            "You add up from the end of the row, and then the mask meets an array that still runs backwards. Turn the "
            "sums back into the order of time first.",
            lambda r, mask: zeroed(r, mask)[:, ::-1].cumsum(1) * mask,
        ),
        Misconception(
            "left reversed, mask ignored",
            "Two things: your result still runs backwards in time, and the padding has been added up along with the "
            "rewards.",
            lambda r, mask: r[:, ::-1].cumsum(1),
        ),
        Misconception(
            "turned round along the wrong axis",
            "The trajectories have changed places, and time still runs backwards. [::-1] turns the first axis only, "
            "and np.flip without an axis turns all of them: which one is time?",
            lambda r, mask: zeroed(r, mask)[:, ::-1].cumsum(1)[::-1],
        ),
        Misconception(
            "only the first entry",
            "Only the very first sum is filled in. How far is the return statement indented?",
            lambda r, mask: np.where(np.arange(r.size).reshape(r.shape) == 0, backwards(zeroed(r, mask)), 0.0),
        ),
        Misconception(
            "last column's reward at every step",
            "Every entry holds what stands in the last column. In a loop, does = stand where += should?",
            lambda r, mask: np.broadcast_to(zeroed(r, mask)[:, -1:], r.shape),
        ),
        Misconception(
            "last reward at every step",
            "Every step of an episode gets its last reward, and that alone. Does = stand where += should?",
            by_episode(lambda r: np.full(len(r), r[-1])),
        ),
        Misconception(
            "full return at every step",
            "Every step of an episode gets the same number, its total. That is r(τ), where we came from: at step t, "
            "which of the rewards lie behind?",
            lambda r, mask: zeroed(r, mask).sum(1, keepdims=True) * mask,
        ),
        Misconception(
            "full return in every column",
            "You write the total reward into every column, padding included. Each step should only get what is still "
            "to come, and where nothing happened there is nothing.",
            lambda r, mask: np.broadcast_to(zeroed(r, mask).sum(1, keepdims=True), r.shape),
        ),
        Misconception(
            "full return with the padding in it, at every step",
            "Every step gets the sum of its whole row, padding and past included. Neither of the two belongs to what "
            "is still to come.",
            lambda r, mask: r.sum(1, keepdims=True) * mask,
        ),
        Misconception(
            "one number for each trajectory",
            "You return one sum for each trajectory. Here every step has a sum of its own, beginning with its own "
            "reward: the result has the shape of rewards.",
            lambda r, mask: zeroed(r, mask).sum(1),
        ),
        Misconception(
            "one number for each trajectory, as a column",
            "You return a single column, the totals. Every step has a sum of its own, beginning with its own reward: T "
            "columns.",
            lambda r, mask: zeroed(r, mask).sum(1, keepdims=True),
        ),
        Misconception(
            "one number for each trajectory, mask ignored",
            "You return the sum of each row, padding included. Two things: every step has a sum of its own, and what "
            "never happened is no reward.",
            lambda r, mask: r.sum(1),
        ),
        Misconception(
            "own reward only",
            "Each step gets its own reward and nothing of what follows. If this is a recursion that runs forwards, it "
            "reads entries that have not been filled yet.",
            zeroed,
        ),
        Misconception(
            "rewards unchanged",
            "This is the array of rewards as it came in. What is to be added to each entry, and what should stand "
            "where nothing happened?",
            lambda r, mask: r.copy(),
        ),
        Misconception(
            "own reward left out",
            "You begin with the *next* reward. r_t is the reward of a_t itself, so the choice at t has everything to "
            "do with it.",
            lambda r, mask: (backwards(zeroed(r, mask)) - zeroed(r, mask)) * mask,
        ),
        Misconception(
            "own reward left out, padding taken off",
            "You take the own reward off a sum that should keep it; and where nothing happened, the padding is taken "
            "off a zero.",
            lambda r, mask: backwards(zeroed(r, mask)) - r,
        ),
        Misconception(
            "own reward left out, and leaking through the padding",
            "Two things: the sum should begin with the step's own reward, and it should end with the episode, not "
            "with the row.",
            lambda r, mask: (backwards(r) - r) * mask,
        ),
        Misconception(
            "own reward left out, mask ignored",
            "The sum begins one step too late, the padding is added up along with the rewards, and entries where "
            "nothing happened are not zero.",
            lambda r, mask: backwards(r) - r,
        ),
        Misconception(
            "wrong reward taken off",
            "The first sum is right, and on the way you take off the wrong reward: at step t it is the *previous* one "
            "that is no longer to come.",
            lambda r, mask: (zeroed(r, mask).sum(1, keepdims=True) - zeroed(r, mask).cumsum(1) + r[:, :1]) * mask,
        ),
        Misconception(
            "own reward counted twice",
            "The step's own reward is in there twice. Does your running sum hold it already when you add it?",
            lambda r, mask: backwards(zeroed(r, mask)) + zeroed(r, mask),
        ),
        Misconception(
            "one step too early",
            "Your sums begin with the reward *before* the step. That one belongs to the previous choice: which index "
            "does the sum start from?",
            lambda r, mask: (backwards(zeroed(r, mask)) + np.pad(zeroed(r, mask), ((0, 0), (1, 0)))[:, :-1]) * mask,
        ),
        Misconception(
            "one step too early, result not masked",
            "Your sums begin with the reward before the step, and so the last one slips into the padding. Which index "
            "does the sum start from?",
            lambda r, mask: backwards(zeroed(r, mask)) + np.pad(zeroed(r, mask), ((0, 0), (1, 0)))[:, :-1],
        ),
        Misconception(
            "own and next reward only",
            "You add just the neighbour on the right. It should be the neighbour's *sum*: in which direction must the "
            "loop run so that this is ready when it is needed?",
            lambda r, mask: (zeroed(r, mask) + np.pad(zeroed(r, mask), ((0, 0), (0, 1)))[:, 1:]) * mask,
        ),
        Misconception(
            "total without the own reward",
            "You take only the step's own reward out of the total. What has to go is everything that came *before* the "
            "step, and nothing else.",
            lambda r, mask: (zeroed(r, mask).sum(1, keepdims=True) - r) * mask,
        ),
        IN_BOTH["first column left as it was"],
        IN_BOTH["index −1 at the start of the row"],
        Misconception(
            "one column too many",
            "You return T + 1 columns. A leading or trailing zero helps to take differences; the result has one entry "
            "for each step.",
            lambda r, mask: np.pad(backwards(zeroed(r, mask)), ((0, 0), (0, 1))),
        ),
        Misconception(
            "last column left out",
            "The last column of the array never enters. Where an episode lasts that long, its last reward is missing: "
            "does a slice or a range stop one too early?",
            lambda r, mask: backwards(zeroed(r, mask & but_last(r))),
        ),
        Misconception(
            "last reward left out",
            "The last reward of every episode is missing, often the one that matters most. Does a slice like t:-1, or "
            "a length minus one, stop too early?",
            by_episode(lambda r: backwards(np.append(r[:-1], 0), 0)),
        ),
        Misconception(
            "last step gets nothing",
            "All sums are right but the last of each episode, which is zero. What is still to come at the last step "
            "is its own reward.",
            by_episode(lambda r: np.append(backwards(r, 0)[:-1], 0)),
        ),
        Misconception(
            "last column reaches only itself",
            "What stands in the last column arrives there and nowhere else. Look at the condition, or the range, that "
            "links a column with the next: does it stop one too early?",
            lambda r, mask: np.where(but_last(r), backwards(zeroed(r, mask)) - zeroed(r, mask)[:, -1:], r) * mask,
        ),
        Misconception(
            "last reward reaches only itself",
            "The last reward of an episode counts for the last step and for no other. Everything before led to it as "
            "well: does a condition or a slice stop one too early?",
            by_episode(lambda r: np.append(backwards(r[:-1], 0), r[-1])),
        ),
        IN_BOTH["mask on the running sum only"],
        IN_BOTH["mask on the running sum only, and on the result"],
        Misconception(
            "last column taken as it is",
            "The recursion masks every column but the one that it begins with. In short episodes the last column is "
            "padding, and from there it flows everywhere.",
            lambda r, mask: backwards(np.where(but_last(r), zeroed(r, mask), r)),
        ),
        IN_BOTH["last column taken as it is, result masked"],
        Misconception(
            "leaking through the padding",
            "What stands behind the end of an episode flows into the sums before it. Zeroing the *result* is too late "
            "for that: when should the padding be taken out?",
            lambda r, mask: backwards(r) * mask,
        ),
        Misconception(
            "mask ignored",
            "The padding is added up as if it had been earned. It may hold any numbers: what does the mask tell you "
            "about them?",
            lambda r, mask: backwards(r),
        ),
        Misconception(
            "mask ignored, flattened",
            "cumsum without an axis runs through the whole batch as if it were one long row, and the padding with it. "
            "Say along which axis time runs, and who takes the padding out.",
            lambda r, mask: r.ravel()[::-1].cumsum()[::-1].reshape(r.shape),
        ),
        Misconception(
            "padding not zeroed",
            "Every real step is right, and the padding still holds what it held. Where the mask is False, zero is "
            "asked: what does your result begin as?",
            lambda r, mask: np.where(mask, backwards(zeroed(r, mask)), r),
        ),
        Misconception(
            "NaN in the padding",
            "Every real step is right. Where the mask is False a zero is asked, so that multiplying and adding on "
            "does not spoil what comes after: NaN times 0 is NaN.",
            lambda r, mask: np.where(mask, backwards(zeroed(r, mask)), np.nan),
        ),
        Misconception(
            "mask the wrong way round",
            "You keep the padding and throw the episode away. What does True in the mask stand for?",
            lambda r, mask: backwards(zeroed(r, ~mask)),
        ),
        Misconception(
            "mask the wrong way round, at the end",
            "The sums that you set to zero are those of steps that happened, and the others stay. What does True in "
            "the mask stand for?",
            lambda r, mask: backwards(zeroed(r, mask)) * ~mask,
        ),
        Misconception(
            "mask the wrong way round, throughout",
            "Only the padding is in your result, and nothing of the episode. True in this mask means that a step "
            "really happened; in NumPy's masked arrays it means the opposite.",
            lambda r, mask: backwards(zeroed(r, ~mask)) * ~mask,
        ),
        Misconception(
            "sums pushed to the end of the row",
            "The sums of a short episode stand at the right end of the row, with zeros before them. An episode fills "
            "the *first* steps of its row.",
            lambda r, mask: np.stack(
                [
                    np.roll(row, len(row) - length)
                    for row, length in zip(backwards(zeroed(r, mask)), mask.sum(1), strict=True)
                ]
            ),
        ),
        Misconception(
            "episodes that fill their row given up",
            "Rows without padding come out as zeros: looking for the first False finds nothing there, and argmin then "
            "says 0. How else can you tell how long an episode was?",
            lambda r, mask: backwards(zeroed(r, mask)) * ~mask.all(1, keepdims=True),
        ),
        Misconception(
            "mask and rewards in opposite order",
            "The rewards are turned round and the mask is not, so each mask entry meets somebody else's reward. Mask "
            "first, turn round afterwards.",
            lambda r, mask: (r[:, ::-1] * mask).cumsum(1)[:, ::-1],
        ),
        Misconception(
            "short episodes given up",
            "Episodes shorter than the row come out as zeros: coming from the right, the first thing you meet is "
            "padding, and you stop there. What should you do instead of stopping?",
            lambda r, mask: backwards(zeroed(r, mask)) * mask.all(1, keepdims=True),
        ),
        Misconception(
            "added up over the trajectories",
            "You add up along the wrong axis: other trajectories at the same time. Time runs along the second axis, "
            "axis 1.",
            lambda r, mask: backwards(zeroed(r, mask), 0) * mask,
        ),
        Misconception(
            "added up over the trajectories, result not masked",
            "Your sums run down the columns, through different trajectories, and into the padding. Each row is a world "
            "of its own: along which axis does time run?",
            lambda r, mask: backwards(zeroed(r, mask), 0),
        ),
        Misconception(
            "accumulated over the trajectories from the first one on",
            "cumsum(0) walks from trajectory to trajectory. What a trajectory still earns does not depend on those "
            "listed above it: which axis is time, and from which end?",
            lambda r, mask: zeroed(r, mask).cumsum(0) * mask,
        ),
        Misconception(
            "flowing from one episode into the one before",
            "Each episode also gets everything that the episodes listed after it earned. Is the running sum set back "
            "to zero where a new row begins, and does cumsum know its axis?",
            lambda r, mask: backwards(zeroed(r, mask).ravel(), 0).reshape(r.shape) * mask,
        ),
        Misconception(
            "running sum never set back to zero, nor the padding",
            "From the second trajectory on your sums begin with what earlier ones earned, and they go on through the "
            "padding, too. Where does the running sum begin anew?",
            lambda r, mask: backwards(zeroed(r, mask)) + np.append(0, zeroed(r, mask).sum(1).cumsum())[:-1, None],
        ),
        Misconception(
            "accumulated through the whole batch from its start",
            "Your sums grow from the first step of the first trajectory to the last of the last. Time runs within a "
            "row, and what counts is what is still to come.",
            lambda r, mask: zeroed(r, mask).ravel().cumsum().reshape(r.shape) * mask,
        ),
        Misconception(
            "everybody's rewards together",
            "At each time you add up what is still to come for *all* trajectories, and give it to each of them. A sum "
            "without an axis takes the whole array: which axis is the episode's own?",
            lambda r, mask: backwards(zeroed(r, mask)).sum(0) * mask,
        ),
        Misconception(
            "added up over the trajectories, one row left",
            "Your sum ran down the columns, so one row is left for the whole batch. Every trajectory has sums of its "
            "own, along the second axis.",
            lambda r, mask: zeroed(r, mask).sum(0),
        ),
        Misconception(
            "totals beside an array of two axes",
            "An array (N,) beside one of (N, T) lines up with *time*: it fails, or works by accident when N = T. What "
            "gives the totals a second axis?",
            lambda r, mask: zeroed(r, mask).sum(1) - zeroed(r, mask).cumsum(1) + zeroed(r, mask),
        ),
        Misconception(
            "running sum never set back to zero",
            "From the second trajectory on, everything that earlier ones earned is in there too. Where does your "
            "running sum begin anew?",
            lambda r, mask: (
                (backwards(zeroed(r, mask)) + np.append(0, zeroed(r, mask).sum(1).cumsum())[:-1, None]) * mask
            ),
        ),
        Misconception(
            "totals beside an array of two axes, own reward left out",
            "Two things: an array (N,) beside one of (N, T) lines up with *time* unless it gets a second axis, and the "
            "own reward is missing from its sum.",
            lambda r, mask: zeroed(r, mask).sum(1) - zeroed(r, mask).cumsum(1),
        ),
        Misconception(
            "flattened",
            "cumsum without an axis makes one long row out of the batch. Trajectories do not follow upon each other: "
            "tell it along which axis to add, and the shape will stay (N, T).",
            lambda r, mask: zeroed(r, mask)[:, ::-1].cumsum()[::-1],
        ),
        Misconception(
            "flattened, and turned round as a whole",
            "cumsum and flip without an axis take the batch for one long row. Tell both of them which axis is time, "
            "and the shape will stay (N, T).",
            lambda r, mask: zeroed(r, mask).ravel()[::-1].cumsum()[::-1],
        ),
        Misconception(
            "flattened, from the start",
            "cumsum without an axis makes one long row out of the batch, and it adds up from the start. Two questions: "
            "along which axis, and from which end?",
            lambda r, mask: zeroed(r, mask).cumsum(),
        ),
        Misconception(
            "average to go",
            "You take the *mean* of the rewards still to come. Ten steps of 1 are worth more than one step of 1: add "
            "up, do not average.",
            by_episode(lambda r: backwards(r, 0) / np.arange(len(r), 0, -1)),
        ),
        Misconception(
            "average to go, padding counted",
            "You take a mean over the rest of the row, the padding counted as zeros. Two things: a sum is asked, and "
            "the row is longer than the episode.",
            lambda r, mask: backwards(zeroed(r, mask)) / np.arange(r.shape[1], 0, -1),
        ),
        Misconception(
            "average so far",
            "This is the average reward up to each step. Two turns to make: from the past to the future, and from an "
            "average to a sum.",
            by_episode(lambda r: r.cumsum() / np.arange(1, len(r) + 1)),
        ),
        Misconception(
            "divided by the length of the episode",
            "Your sums are divided by the length of their episode, so that a long one counts no more than a short one. "
            "The objective adds rewards up: so does what is still to come.",
            by_episode(lambda r: backwards(r, 0) / len(r)),
        ),
        Misconception(
            "largest instead of sum",
            "You take the largest reward that is still to come. Every one of them counts: add up.",
            lambda r, mask: np.maximum.accumulate(zeroed(r, mask)[:, ::-1], 1)[:, ::-1],
        ),
        Misconception(
            "products instead of sums",
            "You multiply what is still to come. Returns are sums of rewards; it is probabilities that multiply.",
            by_episode(lambda r: r[::-1].cumprod()[::-1]),
        ),
        Misconception(
            "future counted again and again",
            "You add up entries that are sums already, so that late rewards count twice, four times, eight times. "
            "Either add up rewards, or add *one* sum: that of the next step.",
            by_episode(_again_and_again),
        ),
        Misconception(
            "whole numbers only",
            "Halves are lost on the way: the array that takes your sums holds whole numbers. Which type has an array "
            "made with dtype=int, or by zeros_like from one of them?",
            lambda r, mask: backwards(zeroed(r, mask)).astype(np.int64),
        ),
        Misconception(
            "every reward cut to a whole number",
            "Rewards are cut to whole numbers before they are added up. Rewards are real numbers: where does an int "
            "come in?",
            lambda r, mask: backwards(zeroed(r, mask).astype(np.int64)),
        ),
        Misconception(
            "discounted with 0.99",
            "Later rewards shrink by 0.99 for every step. A habit of many programs; here no discount is asked, and "
            "every reward still to come counts in full.",
            by_episode(lambda r: discounted(r, 0.99)),
        ),
        Misconception(
            "discounted with 0.99, and leaking through the padding",
            "Two things: no discount is asked here, and what stands behind the end of an episode must not flow back "
            "into it.",
            lambda r, mask: np.array([discounted(row, 0.99) for row in r]) * mask,
        ),
        Misconception(
            "discounted with 0.9",
            "There is a discount of 0.9 in it. The next exercise has one; here each reward that is still to come "
            "counts in full.",
            by_episode(lambda r: discounted(r, 0.9)),
        ),
        Misconception(
            "steps counted instead of rewards",
            "You count how many steps are left. That is the return where every step pays 1, as in CartPole; here the "
            "rewards say how much each step is worth.",
            by_episode(lambda r: np.arange(len(r), 0, -1)),
        ),
        Misconception(
            "only the sizes",
            "Negative rewards count as positive ones in your sum. A cost that is still to come makes a choice worse: "
            "keep the signs.",
            lambda r, mask: backwards(np.abs(zeroed(r, mask))),
        ),
        Misconception(
            "standardised",
            "You subtract a mean and divide by a deviation afterwards, as many programs do. Lesson 7 has more about "
            "it; here the sums are asked as they are.",
            lambda r, mask: standardised_steps(backwards(zeroed(r, mask)), mask),
        ),
        Misconception(
            "standardised, with a tiny number below",
            "Your sums are centred and divided by their deviation plus something tiny. That is a step of its own, for "
            "lesson 7; here the plain sums are asked.",
            lambda r, mask: standardised_steps(backwards(zeroed(r, mask)), mask, 1e-8),
        ),
        Misconception(
            "standardised over the whole array, with a tiny number below",
            "You subtract a mean and divide by a deviation, both with the padding in them. Lesson 7 has more about it; "
            "here the sums are asked as they are.",
            lambda r, mask: standardised(backwards(zeroed(r, mask))) * mask,
        ),
        Misconception(
            "each episode's mean subtracted",
            "You subtract from the sums of an episode their own mean over time. That changes what a choice is credited "
            "with; here the plain sums are asked.",
            by_episode(lambda r: backwards(r, 0) - backwards(r, 0).mean()),
        ),
        Misconception(
            "each episode standardised",
            "You centre and scale the sums of every episode by themselves. Here they are asked as they are.",
            by_episode(lambda r: standardised(backwards(r, 0))),
        ),
        Misconception(
            "mean over the batch subtracted",
            "You subtract from each step what the batch has on average. That is a baseline, the subject of lesson 7; "
            "here the sums are asked as they are.",
            lambda r, mask: (backwards(zeroed(r, mask)) - backwards(zeroed(r, mask)).mean(0)) * mask,
        ),
        Misconception(
            "averaged over the batch",
            "You average over the trajectories, and one row is left. Every trajectory keeps its own sums: the result "
            "has the shape of rewards.",
            lambda r, mask: backwards(zeroed(r, mask)).mean(0),
        ),
        Misconception(
            "never turned back, transposed",
            "The result lies on its side, (T, N): somewhere a transpose is not undone.",
            lambda r, mask: backwards(zeroed(r, mask)).T,
        ),
        IN_BOTH["a list for each episode, as long as it lasted"],
        Misconception(
            "all steps in one long row",
            "Indexing with the mask strings all real steps together, and the rows are lost. The result keeps the shape "
            "(N, T), with zeros where nothing happened.",
            lambda r, mask: backwards(zeroed(r, mask))[mask],
        ),
    ),
)
