"""What may become of an answer, and of a file that was handed in: one word for each, wherever it is spoken of."""

from enum import StrEnum


class Status(StrEnum):
    """Of an answer the gravest first, "passed" last; then of files in which there is nothing to grade.

    sentence   what happened, after the answer's name
    outcome    "right", "wrong", "raised", "stopped", "open" (nothing was answered) or "refused" (nothing was graded)
    """

    def __new__(cls, word, outcome="refused", sentence="could not be graded"):
        status = str.__new__(cls, word)
        status._value_, status.outcome, status.sentence, status.gravity = word, outcome, sentence, -len(cls)
        return status

    @classmethod
    def _missing_(cls, _):  # a word in a result from elsewhere: no page goes missing for it
        return cls.UNREADABLE

    OUT_OF_MEMORY = "out of memory", "stopped", "needed too much memory"
    TIMED_OUT = "timed out", "stopped", "took too long and was stopped"
    DIED = "died", "stopped", "ended the program it ran in"
    UNREADABLE = "unreadable", "wrong", "gave something that cannot be judged"
    REFERENCE = "reference", "wrong", "calls the package's own answer"
    RAISED = "raised", "raised", "raised an error"
    MUTATED = "mutated", "wrong", "changed what was not its own"
    NOT_A_FUNCTION = "not a function", "wrong", "is not a function"
    NOT_NUMBERS = "not numbers", "wrong", "did not return numbers"
    SHAPE = "shape", "wrong", "gave a result of the wrong shape"
    NO_GRAPH = "no graph", "wrong", "lost the way to the gradient"
    WRONG = "wrong", "wrong", "gave a wrong result"
    NOT_DEFINED = "not defined", "open", "is not defined"
    NOT_ATTEMPTED = "not attempted", "open", "not attempted yet"
    PASSED = "passed", "right", "right"

    EMPTY = "empty"
    NOT_A_NOTEBOOK = "not a notebook"
    NOT_A_FILE = "not a file"
    NO_NOTEBOOK = "no notebook"
    ANOTHER_NOTEBOOK = "another notebook"
    SEVERAL_NOTEBOOKS = "several notebooks"  # in results of 0.1.0: now the newest with answers counts
    UNKNOWN_LESSON = "unknown lesson"
    TOO_LARGE = "too large"
    LINK = "link"
    NO_ACCESS = "no access"
    UNSAFE_NAME = "unsafe name"
    UNCHANGED = "unchanged"  # as it was given out, so it is not handed in
    LOST = "lost"  # the result was there once
    NOT_GRADED = "not graded"  # the grader failed, not the submission: the next run tries again


# Whatever else an answer is asked after one of these, it will say the same.
FINAL = frozenset(
    {
        Status.OUT_OF_MEMORY,
        Status.TIMED_OUT,
        Status.DIED,
        Status.REFERENCE,
        Status.NOT_A_FUNCTION,
        Status.NOT_DEFINED,
    }
)
# Said of an answer by whoever calls it; the others are for those who judge, and nothing in a jail may say them.
PROBLEMS = frozenset(
    {status for status in Status if status.outcome != "refused"}
    - {Status.OUT_OF_MEMORY, Status.DIED, Status.UNREADABLE, Status.WRONG, Status.PASSED}
)
