"""Builds the static site from the notebooks as they are stored, without running them: `make book`.

A worked solution is folded away, under its exercise's name as the anchor; hidden tests are not shown. The page on
teaching gets the list of all misconceptions.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbgrader.preprocessors import ClearHiddenTests

from pgcourse.exercises import EXERCISES, LESSONS

ROOT = Path(__file__).parents[1]
SOLUTION = """\
<details id="{name}"><summary>A worked solution of <code>{name}</code></summary>

```python
{source}
```

</details>"""


def page(notebook):
    """The notebook as the site shows it."""
    for cell in notebook.cells:
        if "HIDDEN TESTS" in cell.source:
            for output in cell.outputs:  # the hidden tests say the same once more
                output.text = "".join(dict.fromkeys(output.text.splitlines(keepends=True)))
    notebook, _ = ClearHiddenTests().preprocess(notebook, {})
    notebook.cells = [folded(cell) if is_solution(cell) else cell for cell in notebook.cells]
    return notebook


def is_solution(cell):
    return cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution", False)


def folded(cell):
    if cell.outputs:
        raise ValueError(f"cell {cell.id} has outputs, expected none: a folded solution would hide them")
    lines = (line for line in cell.source.splitlines() if not line.strip().startswith(("### BEGIN", "### END")))
    source = SOLUTION.format(name=cell.metadata.nbgrader.grade_id, source="\n".join(lines))
    return nbformat.v4.new_markdown_cell(source, id=cell.id)


def misconceptions():
    """What the checks recognise, in Markdown, folded by lesson."""
    for number, title in enumerate(LESSONS.values()):
        lines = [
            f"- `{exercise.name}`: {'; '.join(mistake.name for mistake in exercise.misconceptions)}"
            for exercise in EXERCISES.values()
            if exercise.lesson == number
        ]
        yield "\n".join([f"<details><summary>{number} {title}</summary>\n", *lines, "\n</details>"])


def build(folder):
    """Writes the pages and the site into `folder`, and returns where the site begins."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        nbformat.write(page(nbformat.read(path, 4)), folder / path.name)
    teaching = folder / "teaching.md"
    before, _, rest = teaching.read_text(encoding="utf-8").partition("<!-- misconceptions -->")
    after = rest.partition("<!-- to here -->")[2]  # between the two, other readers are told where the list is
    teaching.write_text("\n".join([before, *misconceptions(), after]), encoding="utf-8")
    # -W: a link that leads nowhere, or a page that Sphinx does not understand, is an error
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    subprocess.run([jupyter_book, "build", folder, "-W", "--keep-going", "--quiet"], check=True)
    return folder / "_build" / "html" / "index.html"


if __name__ == "__main__":
    build(ROOT / "build" / "book")
