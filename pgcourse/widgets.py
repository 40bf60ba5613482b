"""Explorers: a figure under sliders, and a learning curve that redraws while it trains. Shells over `plots`."""

import math
import time
from html import escape

import ipywidgets
from IPython.display import HTML, display

from pgcourse import plots


class Choice(ipywidgets.SelectionSlider):
    """A slider over a list of values, starting at `value`."""

    def __init__(self, label, options, value):
        super().__init__(options=options, value=value, description=label, continuous_update=True)


class SliderFigure(ipywidgets.VBox):
    """`draw(**values)` → (Figure, alt text), drawn again whenever one of the `controls` (name=widget) moves.

    The stored output also carries the first picture as a plain image, for readers without a kernel.
    """

    def __init__(self, draw, **controls):
        self._draw, self._controls = draw, controls
        self._image = ipywidgets.HTML()
        for control in controls.values():
            control.style.description_width = "initial"
            control.layout.width = "min(100%, 480px)"
            control.observe(self._redraw, "value")
        super().__init__([*controls.values(), self._image])
        self._redraw()

    def _redraw(self, _change=None):
        self._picture = plots.show(*self._draw(**{name: control.value for name, control in self._controls.items()}))
        self._image.value = self._picture._repr_html_()

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        view = "application/vnd.jupyter.widget-view+json"
        bundle = super()._repr_mimebundle_(include=include, exclude=exclude, **options)
        return {"text/plain": repr(self._picture), "text/html": self._picture._repr_html_(), view: bundle[view]}


class LiveCurve:
    """A progress bar and a learning curve in one output that is replaced while training goes on.

    Hand it to `train(…, watch=curve)`. Redraws at most every `interval` seconds, and once more on `finish()`.
    """

    def __init__(self, goal, start=0.0, interval=0.1):
        self.goal, self.start, self.interval = goal, start, interval
        self._drawn = -math.inf  # a machine that started a moment ago has a small monotonic clock
        self._history = []
        self._handle = display(HTML("<p>Training …</p>"), display_id=True)

    def __call__(self, history):
        self._history = history
        if time.monotonic() - self._drawn >= self.interval:
            self._update()
            self._drawn = time.monotonic()

    def finish(self):
        self._update()

    def _update(self):
        returns = [record.mean_return for record in self._history]
        fig, ax = plots.figure()
        plots.learning_curve(ax, [record.steps for record in self._history], returns, self.goal)
        done = min(max((returns[-1] - self.start) / (self.goal - self.start), 0), 1)
        label = f"batch {len(returns)}, mean return {returns[-1]:.0f} of {self.goal:.0f}"
        alt = f"Mean return of each batch against environment steps, from {returns[0]:.0f} to {returns[-1]:.0f}."
        bar = f'<progress max="1" value="{done:.3f}" aria-label="{escape(label)}" style="width: 320px"></progress>'
        self._handle.update(HTML(f"<p>{bar} {escape(label)}</p>{plots.show(fig, alt)._repr_html_()}"))
