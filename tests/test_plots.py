"""Figures reach the page as pictures with alt text; a slider draws a new one."""

import base64
import io
import re
import subprocess
import sys

import matplotlib.style
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


def test_the_style_holds_for_what_is_drawn_on_the_figure():
    with matplotlib.style.context("default"):
        _, ax = plots.figure()
        [line] = ax.plot([0, 1], label="a line")
        note, legend = ax.annotate("a note", (0, 0)), ax.legend()
    assert line.get_linewidth() == plots.STYLE["lines.linewidth"]
    assert {text.get_fontsize() for text in (note, *legend.get_texts())} == {plots.STYLE["font.size"]}
    assert legend.get_frame_on() == plots.STYLE["legend.frameon"]


def test_no_style_changes_before_the_first_figure():
    code = "import matplotlib as m; before = dict(m.rcParams); import pgcourse.plots; assert m.rcParams == before"
    subprocess.run([sys.executable, "-c", code], check=True)


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

    monkeypatch.setattr(widgets.time, "monotonic", lambda: 5.0)  # the machine started a moment ago
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


def test_names_beside_curves_are_kept_apart_and_inside():
    low, high = ({f"{end} {k}": [2.0, end * (1 + k / 100)] for k in range(4)} for end in (1, 1000))
    curves = low | {"alone": [1.0, 30.0]} | high
    _, ax = plots.figure()
    plots.named_curves(ax, (0, 1), curves, biased=["alone"])
    heights = {text.get_text(): text.xyann[1] for text in ax.texts}
    assert sorted(heights, key=heights.get) == list(curves)
    ordered = np.sort(list(heights.values()))
    assert np.diff(ordered).min() > 0.08
    assert ordered.min() >= 0
    assert ordered.max() <= 1
    assert {line.get_linestyle() for line in ax.lines} == {"-", "--"}
    assert ax.get_yscale() == "log"
    _, ax = plots.figure()
    assert plots.named_curves(ax, (0, 1), {"zero": [0.0, 0.0]}).get_yscale() == "linear"


def test_a_table_of_terms_shows_sizes_and_parts_past_from_future():
    _, ax = plots.figure(width=3, height=3)
    plots.table_of_terms(ax, np.array([[1.0, -4.0], [0.0, 2.0]]))
    assert [text.get_text() for text in ax.texts] == ["1", "-4", "0", "2"]
    assert (ax.images[0].get_array() == [[0.25, 1], [0, 0.5]]).all()
    assert ax.lines[0].get_xydata().tolist() == [[-0.5, 0.5], [0.5, 0.5], [0.5, 1.5], [1.5, 1.5]]


def test_error_parts_mark_the_smallest_error_and_leave_rounding_out():
    _, ax = plots.figure()
    best = plots.error_parts(ax, np.array([1e-12, 0.5, 0.1]), np.array([0.6, 0.4, 0.3]), ["a", "b", "c"])
    assert best == 2
    widths = [bar.get_width() for bar in ax.patches]
    assert np.allclose(widths, [0.6, np.hypot(0.5, 0.4), np.hypot(0.1, 0.3)])
    assert [bar.get_linewidth() > 0 for bar in ax.patches] == [False, False, True]
    spread, bias = ax.lines[:2]
    assert spread.get_xdata().tolist() == [0.6, 0.4, 0.3]
    assert bias.get_xdata().tolist() == [0.5, 0.1], "a bias of 1e-12 is rounding"


def test_a_decision_map_names_each_area_inside_it():
    distances, counts = np.linspace(0, 4, 41), np.logspace(0, 4, 81)
    errors = np.empty((41, 81, 3))
    errors[..., 0] = np.where(distances < 1, 0.1, 10)[:, None]
    errors[..., 1] = np.where(counts < 100, 0.5, 2)
    errors[..., 2] = 1.5
    _, ax = plots.figure()
    plots.decision_map(ax, distances, counts, errors, ["near", "few", "many"], ["#cccccc", "#dddddd", "#eeeeee"])
    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert places.keys() == {"near", "few", "many"}
    assert places["near"][0] < 1
    assert places["few"][0] > 1
    assert places["few"][1] < 100 < places["many"][1]
    assert all(0.2 < x < 3.8 for x, _ in places.values()), "a name keeps away from the rim"
    assert any("////" in area.hatches for area in ax.collections if hasattr(area, "hatches"))
    assert ax.get_yscale() == "log"


def test_glimpses_show_what_was_seen_and_how_likely_each_action_is():
    _, axes = plots.figure(columns=2, rows=2)
    pictures = np.array([[[0, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 1, 1]]])
    plots.glimpses(axes, pictures, np.array([[0.25, 0.75], [1, 0]]), ["left", "right"])
    for k in range(2):
        np.testing.assert_array_equal(axes[0, k].images[0].get_array(), pictures[k])
    heights = [[bar.get_height() for bar in ax.patches] for ax in axes[1]]
    assert heights == [[0.25, 0.75], [1, 0]]
    assert [label.get_text() for label in axes[1, 1].get_xticklabels()] == ["left", "right"]
