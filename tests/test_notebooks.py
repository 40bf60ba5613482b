"""What holds of every stored notebook besides its outputs, which `pytest --nbval` compares."""

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
MAX_LINES = 15


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def not_run_in_order(notebook):
    """The cells whose execution_count is missing, or not what one run from top to bottom gives."""
    return [cell.id for count, cell in enumerate(code_cells(notebook), start=1) if cell.execution_count != count]


def stored_stderr(notebook):
    return [cell.id for cell in code_cells(notebook) for output in cell.outputs if output.get("name") == "stderr"]


def untagged_errors(notebook):
    return [
        cell.id
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", [])
    ]


def stored_timing(notebook):
    return [cell.id for cell in notebook.cells if "execution" in cell.metadata]


def stored_widget_state(notebook):
    return ["the notebook's metadata"] if "widgets" in notebook.metadata else []


def other_kernel(notebook):
    name = notebook.metadata.get("kernelspec", {}).get("name")
    return [] if name == "python3" else [f"kernelspec {name}"]


def repeated_ids(notebook):
    ids = [cell.id for cell in notebook.cells]
    return sorted({name for name in ids if ids.count(name) > 1})


def long_cells(notebook):
    """nbgrader's cells excepted: there a solution stands beside its stub."""
    lines = {cell.id: [line for line in cell.source.splitlines() if line.strip()] for cell in code_cells(notebook)}
    graded = {cell.id for cell in code_cells(notebook) if "nbgrader" in cell.metadata}
    return [name for name in lines if len(lines[name]) > MAX_LINES and name not in graded]


def good_notebook():
    cells = [
        v4.new_code_cell("1 / 0", execution_count=1, outputs=[v4.new_output("error", ename="ZeroDivisionError")]),
        v4.new_code_cell("print(1)", execution_count=2, outputs=[v4.new_output("stream", text="1\n")]),
        v4.new_code_cell("\n\n".join(["x = 1"] * MAX_LINES), execution_count=3),
        v4.new_code_cell("\n".join(["x = 1"] * 40), execution_count=4, metadata={"nbgrader": {"solution": True}}),
        v4.new_markdown_cell("text"),
        v4.new_code_cell(),
    ]
    cells[0].metadata.tags = ["raises-exception"]
    return v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


# rule: what breaks it
RULES = {
    not_run_in_order: lambda notebook: notebook.cells[1].update(execution_count=None),
    stored_stderr: lambda notebook: notebook.cells[1].outputs[0].update(name="stderr"),
    untagged_errors: lambda notebook: notebook.cells[0].metadata.pop("tags"),
    stored_timing: lambda notebook: notebook.cells[1].metadata.update(execution={}),
    stored_widget_state: lambda notebook: notebook.metadata.update(widgets={}),
    other_kernel: lambda notebook: notebook.metadata.kernelspec.update(name="python"),
    repeated_ids: lambda notebook: notebook.cells[1].update(id=notebook.cells[0].id),
    long_cells: lambda notebook: notebook.cells[2].update(source=notebook.cells[2].source + "\nx = 1"),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_pass_a_good_notebook_and_fail_a_broken_one(rule):
    notebook = good_notebook()
    assert rule(notebook) == []
    RULES[rule](notebook)
    assert len(rule(notebook)) == 1


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path, rule):
    assert rule(nbformat.read(path, as_version=nbformat.NO_CONVERT)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_valid_and_written_as_nbformat_writes_it(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"
