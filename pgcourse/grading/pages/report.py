"""What an instructor reads about a class: one HTML page over all its submissions, with no script in it."""

from collections import Counter, defaultdict
from statistics import median
from urllib.parse import quote

from markupsafe import Markup

from pgcourse.exercises import EXERCISES
from pgcourse.grading.pages import shared
from pgcourse.grading.similarity import LONG, MARGIN, suspicious
from pgcourse.judging.messages import hint_as_html
from pgcourse.judging.statuses import Status

OUTCOMES = ("right", "wrong", "raised", "stopped", "open")
SIGNS = {"right": "✓", "wrong": "✗", "raised": "!", "stopped": "◼", "open": "○"}
WORDS = {"right": "right", "wrong": "wrong", "raised": "raised an error", "stopped": "stopped", "open": "not attempted"}
SLOWEST = 5
MAX_EXAMPLE = 2000  # characters of a student's code


def page(rows, title="A class on policy gradients", known=frozenset(), feedback="feedback"):
    """The HTML of the report.

    rows: one dictionary per submission: {"student", "lesson", "score", "max_score", "status", "reason", "seconds",
    "cpu", "remarks": [str], "exercises": [{"name", "status", "points", "score", "message", "misconception",
    "seconds", "source", "fingerprint", "size"}]}, the last two from `similarity.fingerprint`. Exercises of files that
    were refused do not count, nor do lessons as they were given out. "has_page": False where there is no page to link
    to.
    known: digests that arouse no suspicion, see `similarity.known_answers`.
    feedback: the folder of the students' pages, relative to the report; None: there are none.
    """
    unchanged = sum(row["status"] == Status.UNCHANGED for row in rows)
    rows = [row for row in rows if row["status"] != Status.UNCHANGED]
    rows = [row | {"exercises": []} if shared.is_refused(row) else row for row in rows]
    without = {(row["student"], row["lesson"]) for row in rows if not row.get("has_page", True)}
    shares = [_share(row) for row in rows if row["max_score"]]  # else it is of no lesson
    look = [{"row": row, "why": why} for row in rows if (why := reasons_to_look(row))]
    groups = suspicious(rows, known)
    return shared.rendered(
        "report.html",
        title=title,
        submissions=len(rows),
        unchanged=unchanged,
        students=len({row["student"] for row in rows}),
        median=median(shares) if shares else 0,
        look=look,
        lessons=lessons([row for row in rows if row["max_score"]]),
        exercises=exercises(rows),
        misconceptions=misconceptions(rows),
        unknown=sum(_outcome(e) == "wrong" and not e["misconception"] for row in rows for e in row["exercises"]),
        groups=groups,
        minutes=sum(row["seconds"] for row in rows) / 60,
        cpu_minutes=sum(row["cpu"] for row in rows) / 60,
        slowest=sorted(rows, key=lambda row: -row["seconds"])[:SLOWEST],
        link=lambda *place: None if place in without else _link(feedback, *place),
        outcomes=OUTCOMES,
        signs=SIGNS,
        words=WORDS,
        long=LONG,
        margin=MARGIN,
    )


def reasons_to_look(row):
    """Why a person should look at a submission, as a list of short sentences; [] where nothing is remarkable."""
    reasons = [] if row["exercises"] else [f"{row['status']}: {row['reason']}"]
    for exercise in row["exercises"]:
        if _outcome(exercise) == "stopped":
            reasons.append(f"{exercise['name']}: {exercise['status']}")
    return reasons + list(row["remarks"])


def lessons(rows):
    """For each lesson its name, submissions, median and the most points, and the histogram of the shares of them."""
    found = []
    for name in sorted({row["lesson"] for row in rows}):
        own = [row for row in rows if row["lesson"] == name]
        bins = Counter(_bin(_share(row)) for row in own)
        counts = [bins[number] for number in range(len(BINS))]
        found.append(
            {
                "name": name,
                "count": len(own),
                "median": median(row["score"] for row in own),
                "max_score": max(row["max_score"] for row in own),
                "bins": [
                    {"label": label, "count": count, "height": round(64 * count / max(counts), 1)}
                    for label, count in zip(BINS, counts, strict=True)
                ],
            }
        )
    return found


BINS = ("0", "≤20", "≤40", "≤60", "≤80", "<100", "100")  # per cent of the points


def _bin(share):
    """The number of the bin: nothing, five equal steps, everything."""
    return 0 if share <= 0 else 6 if share >= 1 else min(5, 1 + int(share * 5 - 1e-9))


def _share(row):
    return row["score"] / row["max_score"] if row["max_score"] else 0


def exercises(rows):
    """For each exercise its outcomes over the class, the least often passed first."""
    counts = defaultdict(Counter)
    for row in rows:
        for exercise in row["exercises"]:
            counts[row["lesson"], exercise["name"]][_outcome(exercise)] += 1
    found = [
        {
            "lesson": lesson,
            "name": name,
            "counts": count,
            "total": count.total(),
            "share": count["right"] / count.total(),
        }
        for (lesson, name), count in counts.items()
    ]
    return sorted(found, key=lambda exercise: (exercise["share"], exercise["lesson"], exercise["name"]))


def _outcome(exercise):
    return Status(exercise["status"]).outcome


def misconceptions(rows):
    """What wrong answers look like, the most frequent first: exercise, name, hint, students, and one answer's code."""
    answers = defaultdict(dict)
    for row in rows:
        for exercise in row["exercises"]:
            if exercise["misconception"]:
                answers[exercise["name"], exercise["misconception"]][row["student"]] = exercise["source"] or ""
    found = []
    for (exercise, name), sources in answers.items():
        author = min(sources, key=lambda student: (not sources[student].strip(), len(sources[student]), student))
        hint = next((m.hint for m in _misconceptions(exercise) if m.name == name), "")
        found.append(
            {
                "exercise": exercise,
                "name": name,
                "hint": Markup(hint_as_html(hint)),
                "count": len(sources),
                "author": author,
                "source": sources[author][:MAX_EXAMPLE],
            }
        )
    return sorted(found, key=lambda found: (-found["count"], found["exercise"], found["name"]))


def _misconceptions(exercise):
    return EXERCISES[exercise].misconceptions if exercise in EXERCISES else ()


def _link(feedback, student, lesson):
    """The address of a feedback page, or None."""
    if feedback is None or {student, lesson} & {"", ".", ".."}:
        return None
    return "/".join([feedback, *(quote(shared.visible(part), safe="") for part in (student, f"{lesson}.html"))])
