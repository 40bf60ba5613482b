"""The course's figures: Axes in, Axes out, and how a figure gets into a page.

A colour means the same everywhere (COLOURS), and never alone: what is exact is a solid near-black line, what is sampled
a dot.
"""

import base64
import html
import io

import matplotlib
import numpy as np
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
