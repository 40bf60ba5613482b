"""The course's figures: Axes in, Axes out, and how a figure gets into a page.

A colour means the same everywhere (COLOURS), and never alone: what is exact is a solid near-black line, what is sampled
a dot.
"""

import base64
import html
import io
import itertools

import matplotlib
import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

COLOURS = {
    "exact": "#222222",
    "estimate": "#0072B2",
    "reward": "#009E73",
    "policy": "#E69F00",
    "after": "#D55E00",
    "before": "#999999",
    "biased": "#CC79A7",
}

STYLE = {
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}

DPI = 200  # twice what a page shows: sharp on a dense screen


def figure(width=6.4, height=3.2, columns=1, rows=1, **options):
    """A Figure in the course's style and its Axes (an array of them where there are several). Inches; for `show`.

    From now on the style holds for all that this process draws: matplotlib looks it up whenever it makes a line.
    """
    matplotlib.rcParams.update(STYLE)
    fig = Figure(figsize=(width, height))
    return fig, fig.subplots(rows, columns, **options)


class Picture:
    """An image in a page, with alt text for those who do not see it."""

    def __init__(self, data, kind, alt, width):
        self.data, self.kind, self.alt, self.width = data, kind, alt, width

    def _repr_html_(self):
        data = base64.b64encode(self.data).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" width="{self.width}" style="max-width: 100%; background: white; '
            f'border-radius: 6px" src="data:image/{self.kind};base64,{data}">'
        )

    def __repr__(self):
        return f"[{self.alt}]"


def show(fig, alt):
    """The Figure as a Picture. `alt` says in one sentence what to see in it."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI)
    width = round(fig.get_figwidth() * 100)
    return Picture(buffer.getvalue(), "png", alt, width)


def animation(frames, alt, frames_per_second=50, width=480):
    """Frames, each (height, width, 3) of uint8, as an animated Picture (WebP) that plays in the page, again and again.

    Each frame is shrunk as it comes, so an iterator of them takes little memory.
    """
    pictures = map(Image.fromarray, frames)
    images = [p.resize((width, round(width * p.height / p.width)), Image.Resampling.LANCZOS) for p in pictures]
    buffer = io.BytesIO()
    duration = round(1000 / frames_per_second)
    images[0].save(
        buffer, "webp", save_all=True, append_images=images[1:], duration=duration, loop=0, quality=60, method=2
    )
    return Picture(buffer.getvalue(), "webp", alt, width)


def bars(ax, values, labels, colour):
    """Bars over `labels`, each with its value written on it."""
    values = np.asarray(values)
    drawn = ax.bar(range(len(values)), values, color=COLOURS[colour], width=0.6)
    ax.bar_label(drawn, fmt="%.2f", padding=3)
    ax.axhline(0, color=COLOURS["exact"], lw=0.8)
    ax.set_xticks(range(len(values)), labels)
    ax.margins(y=0.18)
    return ax


def gradient_estimates(ax, estimates, gradient, deviation, labels):
    """Estimates (M, P) as dots for each component, the exact gradient (P,) as a line in a band of ± deviation (P,)."""
    spread = np.linspace(-0.28, 0.28, len(estimates))
    for p in range(len(gradient)):
        ax.plot(p + spread, estimates[:, p], ".", color=COLOURS["estimate"], ms=4, alpha=0.5)
        ax.fill_between(
            [p - 0.38, p + 0.38],
            gradient[p] - deviation[p],
            gradient[p] + deviation[p],
            color=COLOURS["before"],
            alpha=0.3,
            lw=0,
        )
        ax.plot([p - 0.38, p + 0.38], [gradient[p]] * 2, color=COLOURS["exact"], solid_capstyle="butt")
    ax.set_xticks(range(len(gradient)), labels)
    ax.set_xlim(-0.6, len(gradient) - 0.4)
    return ax


def learning_curve(ax, steps, returns, goal=None, colour="estimate"):
    """Return of each batch, (I,), against environment steps; of several runs, (R, I), the median and the full range."""
    returns = np.atleast_2d(returns)
    ax.plot(steps, np.median(returns, 0), color=COLOURS[colour], marker="o" if len(returns) == 1 else None, ms=3)
    if len(returns) > 1:
        ax.fill_between(steps, returns.min(0), returns.max(0), color=COLOURS[colour], alpha=0.2, lw=0)
    if goal is not None:
        ax.axhline(goal, color=COLOURS["before"], lw=1, ls="--")
        ax.annotate(
            "goal",
            (0, goal),
            xycoords=("axes fraction", "data"),
            xytext=(2, 3),
            textcoords="offset points",
            color="#666666",
            fontsize=10,
        )
    ax.set_xlabel("environment steps")
    ax.set_ylabel("mean return of a batch")
    return ax


def before_after(ax, before, after, labels):
    """Pairs of bars over `labels`: hatched grey before a step, vermilion after it."""
    place = np.arange(len(labels))
    ax.bar(place - 0.2, before, 0.38, color=COLOURS["before"], hatch="//", edgecolor="white", lw=0, label="before")
    ax.bar(place + 0.2, after, 0.38, color=COLOURS["after"], label="after")
    ax.set_xticks(place, labels)
    ax.legend()
    return ax


def predicted_actual(ax, predicted, actual, labels=()):
    """A dot for each predicted and actual value, on or off the line where the two are equal; dots may share a label."""
    ends = np.min([predicted, actual]), np.max([predicted, actual])
    ax.plot(ends, ends, color=COLOURS["exact"], lw=1)
    ax.plot(predicted, actual, "o", color=COLOURS["after"], ms=5 if len(labels) else 2)
    shared = {}
    for x, y, label in zip(predicted, actual, labels, strict=False):
        shared.setdefault((round(float(x), 9), round(float(y), 9)), []).append(label)
    for dot, names in shared.items():
        ax.annotate(", ".join(names), dot, xytext=(5, -11), textcoords="offset points", fontsize=9, color="#666666")
    ax.margins(0.15)
    return ax


def padded_batch(ax, trajectories):
    """The rewards of a small batch as a table, a row for each trajectory, with its end; padding is hatched."""
    count, horizon = trajectories.mask.shape
    step = {"color": COLOURS["reward"], "alpha": 0.18, "lw": 0}
    padding = {"facecolor": "white", "edgecolor": "#bbbbbb", "hatch": "////", "lw": 0}
    for i, t in np.ndindex(count, horizon):
        happened = trajectories.mask[i, t]
        ax.bar(t + 1, 0.84, 0.9, bottom=i - 0.42, **(step if happened else padding))
        if happened:
            ax.text(t + 1, i, f"{trajectories.rewards[i, t]:g}".replace("-", "−"), ha="center", va="center")
    for i, terminated in enumerate(trajectories.terminated):
        ax.text(horizon + 0.7, i, "■ terminated" if terminated else "▷ truncated", va="center", fontsize=10)
    ax.set(xlim=(0.4, horizon + 2.6), ylim=(count - 0.5, -0.5), xlabel="step t", ylabel="trajectory i")
    ax.set_xticks(range(1, horizon + 1))
    ax.set_yticks(range(count), range(1, count + 1))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def intervals(ax, centres, half_widths, exact, colour="estimate"):
    """Confidence intervals (M,) side by side and the exact value as a line; returns how many miss it: the thick ones
    with a hollow diamond.
    """
    missed = np.abs(centres - exact) > half_widths
    hit = {"fmt": "o", "ms": 4, "elinewidth": 1.2}
    miss = {"fmt": "D", "ms": 7, "elinewidth": 3, "mfc": "white"}
    for which, style in ((~missed, hit), (missed, miss)):
        place = np.flatnonzero(which) + 1
        ax.errorbar(place, centres[which], half_widths[which], color=COLOURS[colour], **style)
    ax.axhline(exact, color=COLOURS["exact"], zorder=3)
    return int(missed.sum())


def slots(ax, episodes, kept):
    """Episodes (slot, first step, last step) as bars over time, a row for each slot; those not kept are hatched."""
    filled = {"facecolor": COLOURS["estimate"], "edgecolor": "white"}
    hatched = {"facecolor": "white", "edgecolor": "#999999", "hatch": "////", "lw": 0.8}
    for episode in episodes:
        slot, begin, end = episode
        ax.barh(slot, end - begin + 1, left=begin, height=0.7, **(filled if episode in kept else hatched))
    numbers = sorted({slot for slot, _, _ in episodes})
    ax.set(xlabel="step", yticks=numbers, ylim=(numbers[-1] + 0.6, numbers[0] - 0.6))
    return ax


def trajectory_tree(ax, mdp, probs, state_names, action_names):
    """Every trajectory as a path to the right, with its probability and total reward at the end.

    probs (S, A). The world's choices are grey and solid, the policy's orange and dashed; the thicker, the likelier.
    """
    ends = itertools.count()

    def grow(x, s, a, t, likely, earned):
        if a is None:
            options = [(s, b, t, likely * probs[s, b], earned + mdp.r[s, b]) for b in range(mdp.num_actions)]
        elif t < mdp.horizon:
            row = mdp.initial if s is None else mdp.P[s, a]
            options = [(after, None, t + 1, likely * row[after], earned) for after in np.flatnonzero(row)]
        else:
            y = -next(ends)
            ax.text(x + 0.5, y, f"{likely:.3f}", va="center", ha="center", fontsize=9)
            ax.text(x + 0.95, y, f"{earned:g}".replace("-", "−"), va="center", ha="center", fontsize=9)
            return y
        ys = [grow(x + 1, *option) for option in options]
        y = np.mean(ys)
        colour, style = (COLOURS["policy"], (0, (4, 1.5))) if a is None else (COLOURS["before"], "-")
        for child, option in zip(ys, options, strict=True):
            width = 0.6 + 6 * option[3]
            ax.plot([x, x + 1], [y, child], color=colour, ls=style, lw=width, zorder=1, solid_capstyle="round")
            name = action_names[option[1]] if a is None else state_names[option[0]]
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.text(x + 1, child, name, va="center", ha="center", fontsize=9, bbox=box, zorder=2)
        return y

    grow(0, None, 0, 0, 1.0, 0.0)
    heads = ["p(s₁)", "π(a | s)"] + ["p(s′ | s, a)", "π(a | s)"] * (mdp.horizon - 1)
    places = [*np.arange(2 * mdp.horizon) + 0.5, 2 * mdp.horizon + 0.5, 2 * mdp.horizon + 0.95]
    for x, head in zip(places, [*heads, "π(τ)", "r(τ)"], strict=True):
        ax.text(x, 1, head, ha="center", fontsize=10)
    ax.set(xlim=(-0.1, 2 * mdp.horizon + 1.2), ylim=(-next(ends) + 0.5, 2))
    ax.set_axis_off()
    return ax


def trajectory_blocks(ax, total_rewards, probabilities, before=None):
    """A block for each trajectory (N,), as high as it is likely, piled up over its total reward; J balances the piles.

    before: probabilities (N,) to compare with, as a grey dashed outline of the piles.
    """
    order = np.lexsort((-probabilities, total_rewards))
    total_rewards, probabilities = total_rewards[order], probabilities[order]
    levels, first, which = np.unique(total_rewards, return_index=True, return_inverse=True)
    bottoms = np.cumsum(probabilities) - probabilities
    bottoms -= bottoms[first][which]
    corners = [(-0.4, 0), (-0.4, 1), (0.4, 1), (0.4, 0)]
    piled = zip(total_rewards, bottoms, probabilities, strict=True)
    blocks = [[(r + dx, bottom + dy * p) for dx, dy in corners] for r, bottom, p in piled]
    ax.add_collection(PolyCollection(blocks, facecolor=COLOURS["policy"], edgecolor="white", linewidth=0.4))
    highest = np.bincount(which, probabilities).max()
    if before is not None:
        heights = np.bincount(which, before[order])
        highest = max(highest, heights.max())
        ax.bar(levels, heights, 0.8, facecolor="none", edgecolor=COLOURS["before"], ls="--", lw=1.2)
    objective = probabilities @ total_rewards
    ax.axvline(objective, color=COLOURS["exact"], lw=1.2)
    ax.plot([objective], [0], "^", color=COLOURS["exact"], ms=10, clip_on=False, zorder=3)
    ax.text(objective, 1.02, f"J = {objective:.2f}", ha="center", transform=ax.get_xaxis_transform())
    ax.set_ylim(0, 1.05 * highest)
    ax.set_xlabel("total reward r(τ)")
    ax.set_ylabel("probability π(τ), piled up")
    return ax


def table_of_terms(ax, values, written=True, colour="exact"):
    """A square for each pair of times, values (T, T): the score's t downwards, the reward's t' to the right.

    The darker, the larger in size; below the dashed stairs lies the past, t' < t.
    """
    horizon = len(values)
    darkness = np.abs(values) / max(np.abs(values).max(), 1e-9)
    shades = LinearSegmentedColormap.from_list(colour, ["white", COLOURS[colour]])
    ax.imshow(darkness, cmap=shades, vmin=0, vmax=1.15, aspect="equal")
    for t, later in np.ndindex(horizon, horizon) if written else ():
        text = "0" if abs(values[t, later]) < 1e-12 else f"{values[t, later]:.2g}"
        shade = "white" if darkness[t, later] > 0.62 else "#222222"
        ax.text(later, t, text, ha="center", va="center", fontsize=7.5, color=shade)
    stairs = np.repeat(np.arange(horizon + 1) - 0.5, 2)
    ax.plot(stairs[1:-1], stairs[2:], color="#666666", ls=(0, (4, 2)), lw=1.2, clip_on=False)
    ax.set_xticks(range(horizon), range(1, horizon + 1))
    ax.set_yticks(range(horizon), range(1, horizon + 1))
    ax.set(xlabel="time t′ of the reward", ylabel="time t of the score")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def named_curves(ax, x, curves, biased=()):
    """Curves (name → values like x) with their names at the right end, kept apart; those in `biased` dashed and purple.

    The x axis is symmetric-logarithmic, so that it shows 0 and powers of two alike; y is logarithmic where all curves
    are above 0.
    """
    for name, values in curves.items():
        colour, style = ("biased", "--") if name in biased else ("estimate", "-")
        ax.plot(x, values, style, color=COLOURS[colour], marker="o", ms=3, lw=1.4)
    ax.set_xscale("symlog", base=2, linthresh=1)
    ax.set_xticks(x, x)
    if min(map(min, curves.values())) > 0:
        ax.set_yscale("log")
    ends = {name: (ax.transScale + ax.transLimits).transform((x[-1], values[-1])) for name, values in curves.items()}
    order, gap = sorted(ends, key=lambda name: ends[name][1]), 0.085
    heights = [ends[name][1] for name in order]
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + gap)
    heights[-1] = min(heights[-1], 1.0)
    for k in range(len(heights) - 2, -1, -1):
        heights[k] = min(heights[k], heights[k + 1] - gap)
    for name, height in zip(order, heights, strict=True):
        ax.annotate(
            name,
            (x[-1], curves[name][-1]),
            xytext=(1.06, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "lw": 0.7},
        )
    return ax


def error_parts(ax, bias, spread, labels):
    """The error √(bias² + spread²) of each estimator as a bar on a logarithmic axis, its parts as marks.

    bias, spread (F,), all spreads positive. A bias below 1e-6 is taken for rounding and not drawn. Returns the number
    of the estimator with the smallest error, whose bar has an edge.
    """
    error, place = np.hypot(bias, spread), np.arange(len(labels))[::-1]
    best = int(error.argmin())
    bars = ax.barh(place, error, 0.6, color=COLOURS["before"], alpha=0.35, lw=0)
    bars[best].set(alpha=0.6, edgecolor=COLOURS["exact"], linewidth=1.2)
    biased = bias > 1e-6
    ax.plot(spread, place + 0.12, "o", color=COLOURS["estimate"], ms=6, label="spread/√N", clip_on=False)
    ax.plot(bias[biased], place[biased] - 0.12, "D", color=COLOURS["biased"], ms=6, label="bias")
    ax.set_xscale("log")
    ax.minorticks_off()  # they take a third of a redraw
    ax.axvline(1, color=COLOURS["exact"], lw=0.8, ls=":")
    ax.set_yticks(place, labels)
    ax.set_ylim(-0.6, len(labels) + 0.2)
    ax.legend(ncols=2, fontsize=9, loc="upper right", handletextpad=0.1, borderaxespad=0)
    return best


def decision_map(ax, distances, counts, errors, names, tints):
    """Which of F estimators has the smallest of the errors (distances, counts, F), as areas with their names in them.

    Hatched where even that is above 1. counts on a logarithmic axis; areas of less than 2 % have no name.
    """
    winner, levels = errors.argmin(-1), np.log(errors)
    for slack in (0.02, 0):  # the first coat shows only in the hairlines that the second leaves between curved borders
        for k in np.unique(winner):
            lead = np.delete(levels, k, -1).min(-1) - levels[..., k]
            ax.contourf(distances, counts, lead.T, levels=[-slack, np.inf], colors=[tints[k]])
    for k in np.unique(winner):
        area = winner == k
        if area.mean() < 0.02:
            continue
        x, y = _innermost(area)
        tall = 3 * np.ptp(np.flatnonzero(area.any(1))) < len(distances)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2}
        style = {"ha": "center", "va": "center", "fontsize": 9, "bbox": box, "zorder": 3}
        ax.text(distances[x], counts[y], names[k].replace(", ", ",\n"), rotation=90 * tall, **style)
    if levels.min(-1).max() > 0:
        with matplotlib.rc_context({"hatch.linewidth": 0.6, "hatch.color": "#555555"}):
            ax.contourf(distances, counts, levels.min(-1).T, levels=[0, np.inf], colors="none", hatches=["////"])
        ax.contour(distances, counts, levels.min(-1).T, levels=[0], colors=COLOURS["exact"], linewidths=1)
    ax.set_yscale("log")
    return ax


def _innermost(area):
    """The indices of a cell of a bool array as far from the area's rim as any: peeled like an onion."""
    left = np.pad(area, 1)
    while left.any():
        core = np.argwhere(left) - 1
        inner = left[1:-1, 1:-1] & left[2:, 1:-1] & left[:-2, 1:-1] & left[1:-1, 2:] & left[1:-1, :-2]
        left = np.pad(inner, 1)
    return core[((core - core.mean(0)) ** 2).sum(1).argmin()]


def glimpses(axes, pictures, probabilities, actions):
    """Pictures (K, height, width) that a policy saw, and under each the probabilities (K, A) of its actions; axes
    (2, K).
    """
    for k, (above, below) in enumerate(axes.T):
        above.imshow(pictures[k], cmap="Greys", vmin=0, vmax=1.2)
        above.set(xticks=[], yticks=[])
        above.spines[:].set_visible(True)
        below.bar(range(len(actions)), probabilities[k], color=COLOURS["policy"], width=0.7)
        below.set(ylim=(0, 1), yticks=(0, 1) if k == 0 else ())
        below.set_xticks(range(len(actions)), actions, fontsize=9)
    axes[1, 0].set_ylabel("π")
    return axes
