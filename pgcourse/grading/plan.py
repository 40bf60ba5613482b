"""Which cells of a submission run: all of theirs, and of the lesson's own those that theirs lean on."""

from pgcourse.exercises import EXERCISES
from pgcourse.grading.names import Names, names, needed
from pgcourse.grading.submission import is_answer, is_check, label


def imports(lesson):
    """The lesson's first code cell, as it was given out; None if that is an exercise's."""
    first = next((cell for cell in lesson.release.cells if cell.cell_type == "code"), None)
    return first if first is not None and not label(first) else None


class Plan:
    """Which code cells of a reassembled notebook run, by their numbers.

    runs        theirs, and what those lean on; of an answer's cell that was left blank, nothing if they define its
                function elsewhere
    leaned_on   of these the lesson's own, unchanged
    """

    def __init__(self, lesson, cells):
        given = {(cell.get("id"), cell.source) for cell in lesson.release.cells}
        is_given = [(cell.get("id"), cell.source) in given for cell in cells]
        first = imports(lesson)
        self._cells, self._names = cells, [Names() if is_check(cell) else names(cell.source) for cell in cells]
        self._theirs = {
            n for n, cell in enumerate(cells) if not is_check(cell) and (is_answer(cell) or not is_given[n])
        }
        blank = {n for n in self._theirs if is_answer(cells[n]) and is_given[n]}
        bound = {name for n in self._theirs - blank for name in self._names[n].binds}
        self._theirs -= {n for n in blank if self._names[n].binds & bound & set(lesson.exercises)}
        ran = {n for n, cell in enumerate(cells) if first and cell.get("id") == first.get("id") and is_given[n]}
        self.leaned_on = needed(self._names, self._theirs | ran)
        self.runs = self._theirs | self.leaned_on
        self._answer = {name: self._bind(name) for name in lesson.exercises}
        foreign = {name for n in self._theirs for name in self._names[n].checked} - set(lesson.exercises)
        foreign = sorted(foreign & set(EXERCISES))
        self.remarks = [f"answers to other lessons' exercises, not graded here: {', '.join(foreign)}"] * bool(foreign)

    def _bind(self, name):
        return sorted(n for n in self._theirs if name in self._names[n].binds)

    def cell(self, number):
        return self._cells[number]

    def exercise(self, number):
        """An exercise that is answered in a cell of theirs, or None."""
        own = label(self._cells[number]).get("grade_id")
        return own if own in self._answer else next((name for name, n in self._answer.items() if number in n), None)

    def source(self, exercise):
        """The cell in which an exercise is answered, as text: the last that defines its function."""
        return self._cells[self._answer[exercise][-1]].source if self._answer[exercise] else ""

    def may_pass_later(self, number, exercise):
        """Whether what is bound below a check may make another answer of it: its function, or what they need above."""
        needed = {exercise}.union(*(self._names[n].needs for n in self._theirs if n < number))
        return not needed.isdisjoint(name for n in self.runs if n > number for name in self._names[n].binds)
