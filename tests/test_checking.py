"""check() as a learner meets it: what is said, what is raised, what is remembered, and what never happens."""

import contextlib
import functools
import html.parser
import json
import re
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import pgcourse
from pgcourse import CheckFailed, check, estimators, progress, rollouts
from pgcourse.exercises import EXERCISES, Exercise
from pgcourse.exercises.lesson_10.capstone import _controller as controller
from pgcourse.judging import messages
from pgcourse.judging.verdicts import verdict_on
from pgcourse.publishing import manifest
from pgcourse.workspace import progress as store


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "_memory", {})
    monkeypatch.chdir(tmp_path)


def right(log_probs, r, mask):
    return -(log_probs * mask * r[:, None]).sum() / len(r)


def ascent(log_probs, r, mask):
    return -right(log_probs, r, mask)


def failure(answer, name="surrogate_loss", **options):
    with pytest.raises(CheckFailed) as caught:
        check(answer, name, **options)
    return caught.value


# What is said


def test_a_right_answer_prints_one_line(capsys):
    assert check(right, "surrogate_loss") is None
    out, err = capsys.readouterr()
    assert out == "✓ surrogate_loss: right in all 9 cases. 4 points.\n"
    assert err == ""


def test_the_name_defaults_to_the_functions_own(capsys):
    def policy_gradient_estimate(scores, total_rewards):
        return total_rewards @ scores / len(scores)

    check(policy_gradient_estimate)
    assert "policy_gradient_estimate" in capsys.readouterr().out


def test_a_stub_is_not_attempted_and_raises_nothing(capsys):
    def surrogate_loss(log_probs, total_rewards, mask):
        raise NotImplementedError

    assert check(surrogate_loss) is None
    assert capsys.readouterr().out == "○ surrogate_loss: not attempted yet.\n"


@pytest.mark.parametrize("task", ["validate", "autograde"])
def test_a_stub_fails_where_nbgrader_runs_it(task, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", task)

    def surrogate_loss(log_probs, total_rewards, mask):
        raise NotImplementedError

    with pytest.raises(CheckFailed, match="surrogate_loss: not attempted yet"):
        check(surrogate_loss)


def test_a_known_mistake_is_shown_named_and_hinted():
    error = failure(ascent)
    hint = next(m.hint for m in EXERCISES["surrogate_loss"].misconceptions if m.name == "ascent")
    assert str(error) == textwrap.dedent(f"""\
        surrogate_loss gave log_probs.grad as 2 at [0, 0], expected -2.

        The smallest case that fails (case 1 of 9):
          input      log_probs       [[-0.5]]
          input      total_rewards   [2.]
          input      mask            [[ True]]
          got        log_probs.grad  [[2.]]
          expected   log_probs.grad  [[-2.]]
          tolerance  log_probs.grad  1e-13

        This looks like: ascent.

        {hint}""")
    assert isinstance(error, AssertionError)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_an_unknown_mistake_is_shown_without_a_guess():
    error = failure(lambda log_probs, r, mask: right(log_probs**2, r, mask))
    assert "looks like" not in str(error)
    assert str(error).splitlines()[-1].startswith("  tolerance")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda scores, r: None, "returned None: is the return statement missing?"),
        (lambda scores, r: "?", "returned text, expected numbers"),
        (lambda scores, r: {}, "returned a dict, expected numbers"),
        (lambda scores, r: 1 / 0, "raised ZeroDivisionError: division by zero (in the line "),
        (lambda scores: 1, "raised TypeError: "),
        (lambda scores, r: exec("raise SystemExit"), "raised SystemExit"),
        (lambda scores, r: exec("raise KeyboardInterrupt"), "raised KeyboardInterrupt"),
        (lambda scores, r: scores.__imul__(2).mean(0), "changed its input scores: work on a copy of it"),
        (lambda scores, r: (x for x in scores), "returned a generator"),
        (lambda scores, r: (r @ scores / len(r)).astype(complex), "returned complex numbers"),
        (lambda scores, r: np.float16(r @ scores / len(r)), "returned float16 numbers, too coarse"),
        (np.zeros(3), "is a ndarray, expected the function itself, without calling it"),
        (3, "is a int, expected the function itself"),
    ],
)
def test_every_kind_of_failure_is_one_clear_sentence(answer, words, capfd):
    message = str(failure(answer, "policy_gradient_estimate"))
    assert message.startswith("policy_gradient_estimate " + words)
    assert capfd.readouterr().err == ""


def test_an_endless_answer_is_told_so_in_its_time(monkeypatch):
    exercise = EXERCISES["policy_gradient_estimate"]
    quick = Exercise(**{**exercise.__dict__, "time_limit": 0.3})
    monkeypatch.setitem(EXERCISES, exercise.name, quick)

    def endless(scores, r):
        while True:
            pass

    started = time.monotonic()
    message = str(failure(endless, exercise.name))
    assert time.monotonic() - started < 3
    assert "took longer than 0.3 s and was stopped" in message

    def slow(scores, r):
        time.sleep(0.1)
        return r @ scores / len(r)

    assert "took longer than 0.3 s" in str(failure(slow, exercise.name)), "the time is for all cases together"


def test_the_watched_answer_is_stopped_too(monkeypatch):
    monkeypatch.setitem(
        EXERCISES, "surrogate_loss", Exercise(**{**EXERCISES["surrogate_loss"].__dict__, "time_limit": 0.3})
    )

    def recursive(log_probs, r, mask):
        try:
            return recursive(log_probs, r, mask)
        except RecursionError:
            return recursive(log_probs, r, mask)

    assert "longer than 0.3 s" in str(failure(recursive))
    assert sys.getprofile() is None


@pytest.mark.parametrize("name", EXERCISES)
def test_a_check_takes_less_than_a_second(name):
    exercise, begun = EXERCISES[name], time.process_time()
    check(exercise.accepts[0], name)
    passed = time.process_time()
    failure(exercise.misconceptions[-1].wrong, name)
    taken = passed - begun, time.process_time() - passed
    assert max(taken) < (10 if exercise.trial else 1), "three trainings take longer"


def test_other_seeds_have_other_cases():
    seen = []

    def answer(scores, r):
        seen.append(scores.tobytes())
        return r @ scores / len(r)

    for seed in (1, 1, 2):
        check(answer, "policy_gradient_estimate", seed=seed)
    first, again, other = seen[:9], seen[9:18], seen[18:]
    assert first == again != other


# Names


def test_an_unknown_name_lists_close_ones():
    with pytest.raises(ValueError, match="name is 'surogate_los', expected an exercise: surrogate_loss"):
        check(right, "surogate_los")
    with pytest.raises(ValueError, match=r"expected an exercise: .*softmax_score"):
        check(right, "zzz")


@pytest.mark.parametrize("answer", [lambda x: x, functools.partial(right), 3, None])
def test_an_answer_without_a_name_needs_one(answer):
    with pytest.raises(ValueError, match="expected that of an exercise: check"):
        check(answer)


# The package's own functions


def test_calling_the_reference_is_noticed_in_every_disguise():
    class Trajectories:
        observations = np.zeros((1, 1), dtype=int)

    def calls(log_probs, r, mask):
        with contextlib.suppress(Exception):
            estimators.surrogate_loss(None, Trajectories(), r)
        return right(log_probs, r, mask)

    renamed = functools.partial(estimators.surrogate_loss)
    for answer in (calls, estimators.surrogate_loss, renamed, lambda *arguments: renamed(*arguments)):
        error = failure(answer)
        assert "calls pgcourse.estimators.surrogate_loss, which is the answer" in str(error)
        assert error.verdict.status == "reference"
        assert error.verdict.rows == ()
    assert sys.getprofile() is None


def test_the_rollout_reference_is_noticed():
    rng = np.random.default_rng(0)
    error = failure(lambda env, act: rollouts.collect(env, act, 1, rng), "rollout_episode")
    assert "calls pgcourse.rollouts.collect" in str(error)


def test_somebody_elses_profiler_is_kept():
    def profiler(*_):
        pass

    sys.setprofile(profiler)
    try:
        check(right, "surrogate_loss")
        failure(ascent)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


# Notebook and terminal


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_html_is_whole_accessible_and_follows_the_theme():
    verdict = failure(lambda log_probs, r, mask: exec("raise ValueError('<b> & \"quotes\"')")).verdict
    page = Page(messages.as_html(verdict))
    assert page.open == []
    assert "b" not in {tag for tag, _ in page.tags}
    assert "<b>" in "".join(page.words)
    page = Page(messages.as_html(failure(ascent).verdict))
    tags = [tag for tag, _ in page.tags]
    assert "caption" in tags
    scopes = {attributes.get("scope") for tag, attributes in page.tags if tag == "th"}
    assert scopes == {"col", "row"}
    assert "Not right yet." in page.words
    assert failure(ascent).verdict.hint in page.words
    styles = " ".join(attributes.get("style", "") for _, attributes in page.tags)
    assert "var(--jp-content-font-color1, inherit)" in styles
    assert "background: white" not in styles


@pytest.fixture
def kernel(monkeypatch):
    """An IPython shell that takes itself for a kernel's."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    monkeypatch.setattr(shell, "kernel", object(), raising=False)
    yield shell
    InteractiveShell.clear_instance()


def test_a_notebook_shows_html_once_and_no_traceback(kernel):
    with capture_output() as captured:
        error = failure(ascent)
    assert [output.data.keys() for output in captured.outputs] == [{"text/plain", "text/html"}]
    assert "Not right yet." in captured.outputs[0].data["text/html"]
    assert error._render_traceback_() == ["CheckFailed: surrogate_loss is not right yet, see above."]
    assert "looks like: ascent" in str(error)


def test_a_terminal_shows_the_message_as_text():
    error = failure(ascent)
    assert error._render_traceback_() == ["CheckFailed: " + str(error)]


def test_a_cell_that_fails_shows_no_traceback_of_ours(kernel):
    kernel.push({"check": check, "answer": ascent})
    with capture_output() as captured:
        kernel.run_cell("check(answer, 'surrogate_loss')")
    assert captured.stdout.strip() == "CheckFailed: surrogate_loss is not right yet, see above."
    assert captured.stderr == ""


def test_a_narrow_console_does_not_break_the_tick():
    code = "from pgcourse import check; check(lambda s, r: r @ s / len(r), 'policy_gradient_estimate')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=True
    )
    assert done.stdout.startswith(b"? policy_gradient_estimate: right")
    assert done.stderr == b""


def test_import_and_check_are_light():
    code = "import sys, pgcourse; pgcourse.check; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {
        "torch",
        "matplotlib",
        "IPython",
        "pgcourse.exercises.lesson_3.surrogate_loss",
    }


def test_the_top_level_exports_functions():
    assert callable(pgcourse.check)
    assert callable(pgcourse.progress)
    assert {"check", "CheckFailed", "progress"} <= set(dir(pgcourse))


# Progress


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A learner's working copy, two folders above the current one."""
    (tmp_path / manifest.MARKER).write_text("{}")
    deep = tmp_path / "lessons" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path


def stored(folder):
    return json.loads((folder / store.PROGRESS).read_text(encoding="utf-8"))["exercises"]


def forget():
    store._memory.clear()


def test_without_a_marker_nothing_is_written(tmp_path, capsys):
    check(right, "surrogate_loss")
    assert list(tmp_path.iterdir()) == []
    progress()
    assert "surrogate_loss                 ●●○         4       20  ✓ done" in capsys.readouterr().out


def test_a_working_copy_remembers_passes_and_attempts(copy, capsys):
    failure(ascent)
    failure(ascent)
    assert stored(copy) == {"surrogate_loss": {"passed": False, "attempts": 2}}
    forget()
    progress()
    assert "○ open (2 tried)" in capsys.readouterr().out
    check(right, "surrogate_loss")
    failure(ascent)
    assert stored(copy) == {"surrogate_loss": {"passed": True, "attempts": 3}}
    check(lambda *_: exec("raise NotImplementedError"), "softmax_score")
    assert "softmax_score" not in stored(copy)
    assert sorted(path.name for path in copy.iterdir()) == [manifest.MARKER, store.PROGRESS, "lessons"]


def test_two_kernels_do_not_lose_each_others_passes(copy):
    check(right, "surrogate_loss")
    path, mine = copy / store.PROGRESS, store._memory.copy()
    forget()
    path.unlink()  # what the other kernel wrote in the same moment wins
    failure(lambda *_: 0, "softmax_score")
    store._memory.update(mine)
    failure(lambda *_: 0, "softmax_score")
    assert stored(copy)["surrogate_loss"]["passed"]


def test_exercises_of_another_edition_are_kept(copy):
    entry = {"passed": True, "attempts": 1, "note": "kept"}
    document = {"format": store.FORMAT, "exercises": {"of_long_ago": entry}}
    (copy / store.PROGRESS).write_text(json.dumps(document))
    check(right, "surrogate_loss")
    assert stored(copy)["of_long_ago"] == entry


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b'{"format": "of somebody else", "exercises": {}}',
        b'{"format": "pgcourse progress 1"}',
        b'{"format": "pgcourse progress 1", "exercises": []}',
        b'{"format": "pgcourse progress 1", "exercises": {"surrogate_loss": 7}}',
        b'{"format": "pgcourse progress 1", "exercises": {"surrogate_loss": {"passed": "yes", "attempts": 1}}}',
        b'{"format": "pgcourse progress 1", "exercises": {"surrogate_loss": {"passed": true}}}',
        b"[" * 100_000,
    ],
)
def test_a_broken_file_is_set_aside_and_nothing_is_lost(copy, content, capfd):
    path = copy / store.PROGRESS
    path.write_bytes(content)
    (copy / f"{store.PROGRESS}.broken-1").write_text("older")
    check(right, "surrogate_loss")
    assert stored(copy) == {"surrogate_loss": {"passed": True, "attempts": 1}}
    assert (copy / f"{store.PROGRESS}.broken-2").read_bytes() == content
    assert (copy / f"{store.PROGRESS}.broken-1").read_text() == "older"
    out, err = capfd.readouterr()
    assert f"kept as {store.PROGRESS}.broken-2" in out
    assert err == ""


def test_what_is_valid_in_a_broken_file_still_counts(copy):
    entries = {"softmax_score": {"passed": True, "attempts": 2}, "surrogate_loss": None}
    (copy / store.PROGRESS).write_text(json.dumps({"format": store.FORMAT, "exercises": entries}))
    check(right, "surrogate_loss")
    assert stored(copy)["softmax_score"] == {"passed": True, "attempts": 2}


def test_a_folder_in_the_files_place_is_set_aside(copy):
    (copy / store.PROGRESS).mkdir()
    check(right, "surrogate_loss")
    assert stored(copy)["surrogate_loss"]["passed"]


def test_where_nothing_can_be_written_memory_does(copy, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr("os.replace", refuse)
    (copy / store.PROGRESS).write_bytes(b"broken")
    check(right, "surrogate_loss")
    assert (copy / store.PROGRESS).read_bytes() == b"broken"
    assert [path.name for path in copy.iterdir() if "tmp" in path.name] == []
    progress()
    assert "✓ done" in capsys.readouterr().out


def test_a_folder_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    check(right, "surrogate_loss")


def test_the_map_in_a_notebook_is_an_accessible_table(kernel):
    check(right, "surrogate_loss")
    with capture_output() as captured:
        progress()
    page = Page(captured.outputs[0].data["text/html"])
    assert page.open == []
    assert "✓ done" in page.words
    assert "○ open" in page.words
    assert {"caption", "thead", "tbody"} <= {tag for tag, _ in page.tags}
    assert any(word.startswith("Course map: 1 of ") for word in page.words)


# Answers in other styles, and tensors


def test_a_tensor_with_a_graph_is_judged():
    check(
        lambda scores, r: torch.tensor(r, requires_grad=True) @ torch.tensor(scores) / len(r),
        "policy_gradient_estimate",
    )


def test_a_callable_object_and_a_method_are_answers():
    class Answer:
        def __call__(self, scores, r):
            return r @ scores / len(r)

    check(Answer(), "policy_gradient_estimate")
    check(Answer().__call__, "policy_gradient_estimate")


# An answer that is judged by what it does


def test_a_trainer_is_judged_by_the_judges_own_episodes(capsys):
    check(controller, "capstone")
    assert re.fullmatch(
        r"✓ capstone: mean return [0-9.]+ in 100 fresh episodes after 3 trainings\. 8 points\.\n",
        capsys.readouterr().out,
    )


@pytest.mark.parametrize(
    "act", [lambda o, k: o @ [0.02, 0.05, 1, 0.15 + 0.05 * k] > 0, lambda o, k: o.sum(1) > 0.1 * k]
)
def test_a_formula_that_was_written_down_beforehand_balances_nothing(act):
    for seed in range(8):
        found = verdict_on(EXERCISES["capstone"], lambda make, s: lambda o: act(o, s % 3).astype(np.int64), seed)
        assert found.status == "wrong"


def test_a_trainer_as_lessons_of_0_1_0_ask_for_it_trains_in_the_disguise_as_well():
    trainer = EXERCISES["capstone"].accepts[0]
    check(lambda seed: trainer(lambda num_envs: rollouts.make("CartPole-v1", num_envs), seed), "capstone")
    assert rollouts.make("CartPole-v1", 2).unwrapped.num_envs == 2


def test_looking_behind_the_disguise_makes_the_same_policy_every_time():
    message = str(failure(lambda make, seed: controller(make, 0), "capstone"))
    assert message.startswith("capstone acts exactly alike after every training, whatever the world")


def test_low_returns_are_told_training_by_training():
    def answer(make, seed):
        return controller(make, seed) if seed % 3 else lambda observations: np.zeros(len(observations), int)

    message = str(failure(answer, "capstone"))
    assert re.match(r"capstone reached a mean return of \d+\.\d in 100 fresh episodes after 3 trainings\.", message)
    for number in (1, 2, 3):
        assert re.search(rf"got +training {number} +mean return \d+\.\d, from \d+ to \d+", message)
    assert re.search(r"expected +all together +mean return 475 or more", message)
    assert "This looks like: not every training succeeds." in message


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (
            lambda o: np.zeros((len(o), 2)),
            "capstone gave actions of shape (200, 2) expected (200,) for 200 observations",
        ),
        (lambda o: np.full(len(o), 0.7), "capstone gave the action 0.7, expected 0 or 1"),
        (lambda o: np.full(len(o), np.nan), "capstone gave the action nan, expected 0 or 1"),
        (lambda o: o[:300] @ np.zeros(3), "capstone raised ValueError"),
    ],
)
def test_unusable_actions_are_one_clear_sentence(act, words):
    message = str(failure(lambda make, seed: act, "capstone"))
    assert message.startswith(words)
    assert "(case 1 of 3)" in message


def test_training_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setitem(EXERCISES, "capstone", Exercise(**{**EXERCISES["capstone"].__dict__, "time_limit": 0.3}))

    def endless(make, seed):
        while True:
            pass

    assert "capstone took longer than 0.3 s and was stopped" in str(failure(endless, "capstone"))


def test_the_packages_own_trainer_is_no_answer():
    from pgcourse import reinforce

    def borrowed(make, seed):
        policy, _ = reinforce.train("CartPole-v1", seed=seed, iterations=1)
        return lambda observations: policy.act(observations, np.random.default_rng(0))

    assert "calls pgcourse.reinforce.train" in str(failure(borrowed, "capstone"))


def test_a_blank_trainer_is_not_attempted(capsys):
    def stub(make, seed):
        raise NotImplementedError

    check(stub, "capstone")
    assert capsys.readouterr().out == "○ capstone: not attempted yet.\n"


# Somebody who is stuck


def test_after_five_failures_the_worked_solution_is_offered(kernel, capsys):
    link = "https://pgcourse.github.io/pgcourse/03_sampled_gradients.html#standard_error"
    wrong = functools.partial(np.std, axis=0)
    offers = [link in str(failure(wrong, "standard_error")) for _ in range(6)]
    assert offers == [False, False, False, False, True, True]
    with capture_output() as shown, pytest.raises(CheckFailed):
        check(wrong, "standard_error")
    assert f"<a href='{link}'" in shown.outputs[0].data["text/html"]
    assert link not in str(failure(wrong, "surrogate_loss"))


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("The score of the action *taken*.", "The score of the action <em>taken</em>."),
        ("Step *against it*, not *along*", "Step <em>against it</em>, not <em>along</em>"),
        ("a * b * c, a*b*c and 2 ** 3 ** 4", "a * b * c, a*b*c and 2 ** 3 ** 4"),
        ("x < y & `keepdims=<b>`", "x &lt; y &amp; <code>keepdims=&lt;b&gt;</code>"),
    ],
)
def test_a_hints_stresses_and_code_show_in_a_notebook(hint, shown):
    assert re.sub(r"<code [^>]*>", "<code>", messages.hint_as_html(hint)) == shown
