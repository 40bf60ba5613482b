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
    """A Figure in the course's style and its Axes (an array of them where there are several). Inches; for `show`."""
    with matplotlib.rc_context(STYLE):
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
    with matplotlib.rc_context(STYLE):
        fig.savefig(buffer, format="png", dpi=DPI)
    width = round(fig.get_figwidth() * 100)
    return Picture(buffer.getvalue(), "png", alt, width)


def animation(frames, alt, frames_per_second=50, width=480):
    """Frames (F, height, width, 3) of uint8 as an animated Picture (WebP) that plays in the page, again and again."""
    images = [Image.fromarray(frame) for frame in np.asarray(frames)]
    size = (width, round(width * images[0].height / images[0].width))
    images = [image.resize(size, Image.Resampling.LANCZOS) for image in images]
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
    ax.legend(frameon=False)
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
