"""Figures reach the page as pictures with alt text; a slider draws a new one."""

import base64
import io
import re

import numpy as np
from IPython.display import HTML
from PIL import Image, ImageSequence

from pgcourse import plots, widgets
from pgcourse.reinforce import Record


def image_in(html):
    data = re.search(r"base64,([A-Za-z0-9+/=]+)", html).group(1)
    return Image.open(io.BytesIO(base64.b64decode(data)))


def line(slope):
    fig, ax = plots.figure(width=3, height=2)
    ax.plot([0, 1], [0, slope])
    return fig, f"A line of slope {slope}."


def test_a_shown_figure_is_sharp_and_says_what_to_see():
    picture = plots.show(line(1)[0], 'A line & a "slope" <1.')
    html = picture._repr_html_()
    assert 'alt="A line &amp; a &quot;slope&quot; &lt;1."' in html
    assert 'width="300"' in html
    assert image_in(html).size == (600, 400)
    assert repr(picture) == '[A line & a "slope" <1.]'


def test_the_same_figure_gives_the_same_bytes():
    assert plots.show(*line(1)).data == plots.show(*line(1)).data
    assert plots.show(*line(1)).data != plots.show(*line(2)).data


def test_an_animation_keeps_its_frames_and_their_order():
    frames = np.zeros((5, 40, 60, 3), dtype=np.uint8)
    for i, frame in enumerate(frames):
        frame[:, : 10 * (i + 1)] = 255
    picture = plots.animation(frames, "A bar grows.", width=60)
    shown = ImageSequence.Iterator(image_in(picture._repr_html_()))
    white = [np.asarray(frame.convert("L")).mean() / 255 for frame in shown]
    assert np.allclose(white, np.arange(1, 6) / 6, rtol=0, atol=1 / 60)  # a lossy edge is off by a pixel of 60 at most


def test_every_colour_has_one_meaning():
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS)


def test_moving_a_slider_draws_another_picture():
    slope = widgets.Choice("slope", [1, 2, 5], 1)
    explorer = widgets.SliderFigure(line, slope=slope)
    before = explorer._image.value
    assert "A line of slope 1." in before
    slope.value = 5
    assert "A line of slope 5." in explorer._image.value
    assert image_in(explorer._image.value).tobytes() != image_in(before).tobytes()


def test_an_explorer_carries_a_picture_for_readers_without_a_kernel():
    bundle = widgets.SliderFigure(line, slope=widgets.Choice("slope", [1, 2], 2))._repr_mimebundle_()
    assert bundle["text/plain"] == "[A line of slope 2.]"
    assert image_in(bundle["text/html"]).size == (600, 400)
    assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]


def test_a_live_curve_ends_with_the_last_batch(monkeypatch):
    shown = []

    class Handle:
        def update(self, content):
            shown.append(content.data)

    monkeypatch.setattr(widgets, "display", lambda content, display_id: Handle() if isinstance(content, HTML) else None)
    curve = widgets.LiveCurve(goal=100, interval=3600)
    history = [Record(i, np.array([10.0 * i, 20.0 * i]), np.array([1, 1]), 50 * i) for i in range(1, 5)]
    for i in range(1, 5):
        curve(history[:i])
    assert len(shown) == 1, "within one interval it draws once"
    curve.finish()
    assert "batch 4, mean return 60 of 100" in shown[-1]
    assert 'value="0.600"' in shown[-1]
    assert image_in(shown[-1]).size[0] > 1000
