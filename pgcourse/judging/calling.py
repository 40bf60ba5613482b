"""How an answer is called: plain arrays in, named arrays out. No case and no oracle is in here.

`probe` runs on the learner's side: in a notebook, or in the grader's jail, where whoever judges sits outside. What
crosses is a dictionary of NumPy arrays (float64, int64, bool) and Python numbers one way, and a dictionary of arrays
(float64, float32, int64, bool) or one `Problem` (three strings) the other way.
"""

import inspect
import linecache
import numbers
import re
import signal
import sys
import threading
import time
import warnings
from contextlib import contextmanager, redirect_stderr, suppress

import gymnasium
import numpy as np

from pgcourse.judging.statuses import Status
from pgcourse.mdp import TabularMDP

MAX_ENTRIES = 10**6  # of a result; no exercise asks for a thousandth of it
MAX_TEXT = 300  # characters of somebody else's error message
SHAPE_ERRORS = re.compile(
    r"could not be broadcast|must match the (existing )?size|not aligned|mismatch in its core dimension"
    r"|shapes cannot be multiplied|size mismatch|inconsistent tensor size"
)


class Problem(Exception):
    """Why an answer gave nothing that could be judged: its kind, a sentence without a subject, and a key.

    kind: one of `statuses.PROBLEMS`. Two answers failed in the same way if their keys are equal.
    """

    def __init__(self, kind, message, key=None):
        super().__init__(kind, message, key)
        self.kind, self.message, self.key = kind, message, key or kind


class TimedOut(BaseException):
    """Raised inside an answer whose time is over; no Exception, so that `except Exception` does not swallow it."""


def probe(answer, inputs, kind="function", time_limit=None):
    """Calls `answer` on copies of `inputs` in the way that `kind` says, and returns what it gave as named arrays.

    inputs: name → array or number, in the order of the answer's arguments. kind: a key of KINDS. time_limit: seconds.
    Raises Problem for whatever prevents a judgement; a real Ctrl-C goes through. Warnings are dropped and what the
    answer writes to stderr goes to stdout.
    """
    if not callable(answer):
        raise Problem(Status.NOT_A_FUNCTION, f"is a {_type(answer)}, expected the function itself, without calling it")
    given = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in inputs.items()}
    supervision = _Supervision(time_limit)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), redirect_stderr(sys.stdout), supervision.on():
            warnings.simplefilter("ignore")
            outputs = KINDS[kind](answer, given)
    except Problem as problem:
        raise problem from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and supervision.interrupted:
            raise
        if not supervision.expired:
            raise _raised(error) from None
    if supervision.expired:
        raise Problem(Status.TIMED_OUT, "took too long and was stopped: is there a loop that never ends?")
    for name, value in inputs.items():
        if isinstance(value, np.ndarray) and not _identical(given[name], value):
            raise Problem(Status.MUTATED, f"changed its input {name}: work on a copy of it", f"mutated {name}")
    return outputs


def watched_probe(answer, inputs, kind, time_limit, references):
    """What `probe` returns; raises a Problem if the answer called one of these functions, "module.function"."""
    with _watch(references) as called:
        try:
            outcome = probe(answer, inputs, kind, time_limit)
        except Problem as problem:
            outcome = problem
    if called:
        what = f"calls pgcourse.{called[0]}, which is the answer: try to write it yourself"
        raise Problem(Status.REFERENCE, what)
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


@contextmanager
def _watch(references):
    """Collects which of the package's functions are called in this thread meanwhile."""
    watched = {("pgcourse." + module, function) for module, _, function in (r.partition(".") for r in references)}
    called = []

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and (frame.f_globals.get("__name__"), code.co_qualname) in watched:
            called.append(f"{frame.f_globals['__name__'].removeprefix('pgcourse.')}.{code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(note if watched else before)
    try:
        yield called
    finally:
        sys.setprofile(before)


def arguments(inputs):
    """Positional arguments from named inputs: "env.rewards" and "env.terminated" become one dictionary, env.

    A dictionary of P, r, initial and horizon becomes a TabularMDP.
    """
    grouped = {}
    for name, value in inputs.items():
        head, _, field = name.partition(".")
        if field:
            grouped.setdefault(head, {})[field] = value
        else:
            grouped[name] = value
    is_mdp = {name: isinstance(value, dict) and "P" in value for name, value in grouped.items()}
    return [TabularMDP(**value) if is_mdp[name] else value for name, value in grouped.items()]


# Ways to call an answer


def _function(answer, given):
    return {"result": as_array(answer(*arguments(given)))}


def _surrogate_loss(answer, given):
    import torch  # here, because most exercises do without

    log_probs, *others = (torch.from_numpy(value) for value in given.values())
    loss = answer(log_probs.requires_grad_(), *others)
    if log_probs.grad is not None:
        message = "called backward() itself: return the loss, and leave backward() to whoever trains with it"
        raise Problem(Status.MUTATED, message, "backward inside")
    if loss is None:
        as_array(loss)
    if not isinstance(loss, torch.Tensor):
        raise Problem(Status.NO_GRAPH, f"returned a {_type(loss)}, expected a torch scalar with the graph it came from")
    if loss.ndim:
        shape = tuple(loss.shape)
        raise Problem(Status.SHAPE, f"returned a loss of shape {shape}, expected a scalar, shape ()", f"shape {shape}")
    if loss.requires_grad:
        loss.backward()
    if log_probs.grad is None:
        raise Problem(
            Status.NO_GRAPH, "returned a loss whose graph does not lead back to log_probs: there is no gradient"
        )
    return {"log_probs.grad": as_array(log_probs.grad)}


def _rollout_episode(answer, given):
    env, act = arguments(given)
    result = answer(ScriptedEnv(**env), scripted_act(env["observations"], **act))
    names = ("observations", "actions", "rewards", "terminated")
    if not isinstance(result, list | tuple) or len(result) != len(names):
        count = f" of {len(result)}" if isinstance(result, list | tuple) else ""
        raise Problem(Status.SHAPE, f"returned a {_type(result)}{count}, expected the tuple ({', '.join(names)})")
    outputs = {}
    for name, value in zip(names, result, strict=True):
        try:
            outputs[name] = as_array(value)
        except Problem as problem:
            raise Problem(problem.kind, f"gave {name} that cannot be read: {problem.message}", problem.key) from None
    return outputs


def _reinforce(answer, given):
    theta0, sample, learning_rate, iterations = arguments(given)
    return {"result": as_array(answer(theta0, scripted_sample(**sample), learning_rate, iterations))}


def _capstone(answer, given):
    """{"seed", "mixing", "swapped"} trains: answer(make, seed) → act, which is kept. {"observations"} asks that act."""
    if "observations" not in given:
        mixing, swapped = given["mixing"], given["swapped"]
        _kept[:] = []
        with _one_thread():
            act = _trained(answer, lambda num_envs: DisguisedCartPoles(num_envs, mixing, swapped), given["seed"])
        if not callable(act):
            got = "None" if act is None else f"a {_type(act)}"
            raise Problem(
                Status.NOT_NUMBERS, f"returned {got}, expected a function act(observations) → actions", "no act"
            )
        _kept[:] = [answer, act]
        return {"trained": np.array(True)}
    if not _kept or _kept[0] is not answer:
        raise Problem(Status.RAISED, "was asked to act before it was trained")
    observations = given["observations"].astype(np.float32)  # as the environment gives them
    try:
        with _one_thread():
            return {"actions": as_array(_kept[1](observations))}
    except Problem as problem:
        raise Problem(problem.kind, f"gave actions that cannot be read: act {problem.message}", problem.key) from None


def _trained(answer, make, seed):
    """answer(make, seed); of 0.1.0, whose lesson asked for answer(seed): there make stands behind `rollouts.make`."""
    try:
        takes_both = len(inspect.signature(answer).parameters) != 1
    except (TypeError, ValueError):
        takes_both = True
    if takes_both:
        return answer(make, seed)
    from pgcourse import rollouts  # here, because it needs torch

    before = rollouts.make
    rollouts.make = lambda env_id, num_envs=1, **options: (
        make(num_envs) if env_id == "CartPole-v1" else before(env_id, num_envs, **options)
    )
    try:
        return answer(seed)
    finally:
        rollouts.make = before


class _Asked(BaseException):
    """Leaves an answer that waits for what suspects say; no Exception, so that it does not swallow it."""


def _convict(answer, given):
    """{"suspects"} asks for its question, or a verdict without one. With "answers" and the question again: a verdict.

    The suspects are where no answer is: it is called twice, and asks the same both times.
    """
    asked = []

    def ask(*question):
        if asked:
            message = "asked a second time: the suspects answer one question only, all of them at once"
            raise Problem(Status.MUTATED, message, "a second question")
        try:
            asked[:] = [as_array(part) for part in question] or [np.zeros(0)]
        except Problem as problem:
            message = f"put a question that cannot be read: {problem.message}"
            raise Problem(problem.kind, message, problem.key) from None
        if "answers" not in given:
            raise _Asked
        if not all(map(_identical, asked, [*given.values()][1:])):
            raise Problem(Status.RAISED, "asks something else each time it is called: give its Generator a fixed seed")
        return given["answers"].copy()

    with suppress(_Asked):
        verdict = answer(ask)
    if asked and "answers" not in given:
        return {f"question {number}": array for number, array in enumerate(asked)}
    return {"verdict": as_array(verdict)}


@contextmanager
def _one_thread():
    """For networks this small a second thread of torch only costs, several times the work."""
    import torch  # here, because most exercises do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


_kept = []  # the answer that was trained last, and its act

KINDS = {
    "function": _function,
    "surrogate_loss": _surrogate_loss,
    "rollout_episode": _rollout_episode,
    "reinforce": _reinforce,
    "capstone": _capstone,
    "convict": _convict,
}


class DisguisedCartPoles:
    """CartPoles whose readings are mixed, observations @ mixing (4, 4), and whose actions may be swapped (0 or 1).

    A vector environment as far as training needs one. It does not show its disguise, nor the one behind; whoever digs
    in the closures of its methods finds both.
    """

    def __init__(self, num_envs, mixing, swapped):
        envs = gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")

        def disguise(observations):
            return (observations @ mixing).astype(np.float32)

        def reset(*, seed=None, options=None):
            observations, infos = envs.reset(seed=seed, options=options)
            return disguise(observations), infos

        def step(actions):
            observations, *others = envs.step(np.asarray(actions) ^ swapped)
            return disguise(observations), *others

        self.reset, self.step, self.close = reset, step, lambda: envs.close()
        self.num_envs, self.metadata, self.single_action_space = num_envs, envs.metadata, envs.single_action_space
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(mixing),), np.float32)


class ScriptedEnv(gymnasium.Env):
    """An environment that follows a script of L steps, whatever you do; only the reward depends on the action.

    observations (L + 1, D): what reset() shows, then what each step does. rewards (L, A). terminated, truncated (L,).
    The script goes on after the first end, so that an answer which does not stop there shows it.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own convention)

    def __init__(self, observations, rewards, terminated, truncated):
        self._script = observations, rewards, terminated, truncated
        self._t, self._resets = None, 0
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, observations.shape[1:], np.float64)
        self.action_space = gymnasium.spaces.Discrete(rewards.shape[1])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t, self._resets = 0, self._resets + 1
        if self._resets > len(self._script[0]):
            raise RuntimeError("env.reset was called again and again")
        return self._script[0][0].copy(), {}

    def step(self, action):
        observations, rewards, terminated, truncated = self._script
        if self._t is None:
            raise RuntimeError("env.step was called before env.reset")
        if self._t == len(rewards):
            raise RuntimeError("env.step was called again and again after the episode had ended")
        if np.ndim(action) or int(action) != action or not 0 <= action < rewards.shape[1]:
            raise ValueError(f"env.step was not given one of the actions 0 … {rewards.shape[1] - 1}")
        t, self._t = self._t, self._t + 1
        reward = float(rewards[t, int(action)])
        return observations[t + 1].copy(), reward, bool(terminated[t]), bool(truncated[t]), {}


def scripted_act(observations, actions):
    """act(observation) → action: row k of `actions` (L + 1, K) belongs to the k-th observation.

    Asked again about the same observation it goes along the row, as a policy that samples would.
    """
    asked = np.zeros(len(observations), dtype=np.int64)

    def act(observation):
        if np.shape(observation) != observations.shape[1:]:
            raise ValueError(f"act was not given one observation of shape {observations.shape[1:]}")
        rows = np.flatnonzero((observations == np.asarray(observation)).all(1))
        if not len(rows):
            raise ValueError("act was given an observation that the environment never showed")
        row, asked[rows[0]] = rows[0], asked[rows[0]] + 1
        return int(actions[row, (asked[row] - 1) % actions.shape[1]])

    return act


def scripted_sample(uniforms, rewards):
    """sample(theta (P,), k) → (scores (N, P), total_rewards (N,)) of batch k, the same whenever it is asked.

    A world without states: at step t of T one of A actions, by the softmax of row t of theta as (T, A), earns
    rewards[t, action]. uniforms (K, N, T) decide, against the cumulated probabilities.
    """

    def sample(theta, k):
        if np.shape(theta) != (rewards.size,):
            raise ValueError(f"sample was not given a theta of shape {(rewards.size,)}")
        if int(k) != k or not 0 <= k < len(uniforms):
            raise IndexError("sample was asked for a batch that does not exist")
        theta, k = np.array(as_array(theta), dtype=np.float64), int(k)
        logits = theta.reshape(rewards.shape)
        probs = np.exp(logits - logits.max(1, keepdims=True))
        probs /= probs.sum(1, keepdims=True)
        actions = (uniforms[k][..., None] > probs.cumsum(1)[:, :-1]).sum(-1)
        scores = np.eye(rewards.shape[1])[actions] - probs
        return scores.reshape(len(actions), -1), rewards[np.arange(len(rewards)), actions].sum(1)

    sample.__qualname__ = "sample"  # for messages about its arguments
    return sample


# What comes back


def as_array(value):
    """A plain array of bool, int64, float32 or float64 from whatever an answer returned; Problem if there is none."""
    torch = sys.modules.get("torch")
    if value is None:
        raise Problem(Status.NOT_NUMBERS, "returned None: is the return statement missing?", "returned None")
    if isinstance(value, list | tuple):
        if len(value) > MAX_ENTRIES:
            raise Problem(Status.NOT_NUMBERS, f"returned {len(value)} entries, far more than expected")
        parts = [as_array(part) for part in value]
        if len({part.shape for part in parts}) > 1:
            raise Problem(
                Status.NOT_NUMBERS, f"returned a ragged {_type(value)}: its parts have different shapes", "ragged"
            )
        return np.stack(parts) if parts else np.zeros(0)
    if torch is not None and isinstance(value, torch.Tensor):
        if value.dtype == torch.bfloat16:
            raise _unreadable("bfloat16 numbers, too coarse to be judged,")
        value = (value.detach().to_dense() if value.layout != torch.strided else value).numpy(force=True)
    if isinstance(value, numbers.Real) and not isinstance(value, np.generic | bool):
        try:
            value = float(value)
        except OverflowError:
            raise _unreadable("a number too large for a float,") from None
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise _unreadable("a masked array with hidden entries,")
    if not isinstance(value, np.ndarray) or value.dtype != object:
        value = _from_other(value)
    elif value.size <= MAX_ENTRIES:
        return as_array(value.tolist())
    if value.size > MAX_ENTRIES:
        raise Problem(Status.NOT_NUMBERS, f"returned {value.size} entries, far more than expected")
    if value.dtype.kind == "f" and value.dtype.itemsize == 2:
        raise _unreadable("float16 numbers, too coarse to be judged,")
    if value.dtype.kind not in "biuf":
        raise _unreadable({"c": "complex numbers,", "U": "text,", "S": "bytes,"}.get(value.dtype.kind, "no numbers,"))
    kinds = {"b": np.bool_, "i": np.int64, "u": np.float64, "f": np.float64}
    return np.array(value, dtype=np.float32 if value.dtype == np.float32 else kinds[value.dtype.kind], order="C")


def _from_other(value):
    """An array from what is neither a list nor a tensor: NumPy's own, or anything NumPy can read, such as a Series."""
    try:
        array = np.asarray(value)
    except Exception:
        array = None
    if type(array) is not np.ndarray or array.dtype == object:
        raise _unreadable(f"a {_type(value)},")
    return array


def _unreadable(what):
    return Problem(
        Status.NOT_NUMBERS, f"returned {what} expected numbers: an array, a list or a float", f"returned {what}"
    )


def _raised(error):
    text = _text(error)
    name = type(error).__name__
    if isinstance(error, NotImplementedError) and _is_stub(error):
        return Problem(Status.NOT_ATTEMPTED, "raised NotImplementedError")
    line = _line(error.__traceback__)
    is_shape_error = isinstance(error, ValueError | RuntimeError) and SHAPE_ERRORS.search(text)
    message = f"raised {name}" + (f": {text}" if text else "") + (f" (in the line {line})" if line else "")
    return Problem(Status.RAISED, message, "shapes that do not fit" if is_shape_error else f"{name}: {text}")


def _is_stub(error):
    """False for what torch and NumPy raise themselves, such as `"log" not implemented for 'Long'`."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
    return module not in ("torch", "numpy") and not re.search("not implemented for|Could not run", _text(error))


def _line(trace):
    """The line of the answer's own file in which it went wrong, as text."""
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    if trace is None:
        return ""
    own, number = trace.tb_frame.f_code.co_filename, trace.tb_lineno
    while trace := trace.tb_next:
        if trace.tb_frame.f_code.co_filename == own:
            number = trace.tb_lineno
    return linecache.getline(own, number).strip()[:MAX_TEXT]


def _text(error):
    try:
        return " ".join(str(error).split())[:MAX_TEXT]
    except BaseException:  # an error whose own __str__ fails
        return ""


def _type(value):
    return type(value).__name__


def _identical(given, original):
    return (given.shape, given.dtype) == (original.shape, original.dtype) and given.tobytes() == original.tobytes()


# Time and interrupts


class _Supervision:
    """Ends an answer when its time is over, and tells a real Ctrl-C from an answer that raises KeyboardInterrupt.

    Both need signals, hence the main thread; elsewhere, and on Windows, there is no time limit.
    """

    def __init__(self, time_limit):
        self.time_limit, self.expired, self.interrupted, self._running = time_limit, False, False, False

    @contextmanager
    def on(self):
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)
        if callable(before):
            signal.signal(signal.SIGINT, self._note_interrupt(before))
        try:
            with self._alarm():
                yield
        finally:
            if callable(before):
                signal.signal(signal.SIGINT, before)

    def _note_interrupt(self, before):
        def handler(*args):
            self.interrupted = True
            before(*args)

        return handler

    @contextmanager
    def _alarm(self):
        if self.time_limit is None or not hasattr(signal, "setitimer"):
            yield
            return
        started, handler = time.monotonic(), signal.signal(signal.SIGALRM, self._expire)
        left, interval = signal.setitimer(signal.ITIMER_REAL, self.time_limit, 0.05)  # again, if it is swallowed
        try:
            self._running = True
            try:
                yield
            finally:
                self._running = False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
            if left:  # somebody else's alarm, pytest-timeout's for example
                signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 1e-3), interval)

    def _expire(self, *_):
        self.expired = True
        if self._running:
            raise TimedOut
