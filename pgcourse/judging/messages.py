"""What a learner is told of an answer, as text and as HTML, and how it gets into a notebook."""

import html
import re
import sys

from pgcourse import SITE
from pgcourse.exercises import LESSONS

STUCK = "Stuck? That happens. Here is one way to write it; look, close the page, and then write your own:"


def solution_link(exercise):
    """Where the course's pages show how an exercise may be solved."""
    return f"{SITE}{[*LESSONS][exercise.lesson]}.html#{exercise.name}"


def as_text(verdict, link=""):
    """The message of a Verdict that did not pass; link: to a worked solution, where one is to be offered."""
    parts = [verdict.sentence + ("" if verdict.sentence[-1] in ".?!" else ".")]
    if verdict.rows:
        parts.append(f"The smallest case that fails ({verdict.place}):\n{_text_table(verdict.rows)}")
    if verdict.misconception:
        parts.append(f"This looks like: {verdict.misconception.name}.")
    if verdict.hint:
        parts.append(verdict.hint)
    if link:
        parts.append(f"{STUCK} {link}")
    return "\n\n".join(parts)


def _text_table(rows):
    width = max(len(name) for _, name, _ in rows)
    lines = []
    for what, name, text in rows:
        head = f"  {what:<10} {name:<{width}}  "
        lines.append(head + text.replace("\n", "\n" + " " * len(head)))
    return "\n".join(lines)


_BOX = (
    "border: 1px solid var(--jp-border-color1, #999); border-left: 5px solid var(--jp-warn-color1, #d55e00); "
    "padding: 0.6em 1em; margin: 0.3em 0; color: var(--jp-content-font-color1, inherit); max-width: 60em;"
)
CELL = "text-align: left; vertical-align: top; padding: 0.15em 1.2em 0.15em 0; background: transparent; color: inherit;"
_TABLE = "border-collapse: collapse; margin: 0; color: inherit;"
_CAPTION = "text-align: left; caption-side: top; color: inherit; padding: 0.3em 0; white-space: nowrap;"
CODE = "margin: 0; background: transparent; color: inherit; font-family: var(--jp-code-font-family, monospace);"


def as_html(verdict, link=""):
    """The same for a notebook; colours are JupyterLab's own, so that it reads in its dark theme too."""
    parts = [f"<p style='margin: 0 0 0.4em'><strong>Not right yet.</strong> {html.escape(verdict.sentence)}</p>"]
    if verdict.rows:
        body = "".join(
            f"<tr><th scope='row' style='{CELL}'>{what}</th><td style='{CELL}'>{html.escape(name)}</td>"
            f"<td style='{CELL}'><pre style='{CODE}'>{html.escape(text)}</pre></td></tr>"
            for what, name, text in verdict.rows
        )
        parts.append(html_table(f"The smallest case that fails ({verdict.place})", ("", "name", "value"), body))
    if verdict.misconception:
        parts.append(
            "<p style='margin: 0.6em 0 0'><strong>This looks like:</strong> "
            f"{html.escape(verdict.misconception.name)}.</p>"
        )
    if verdict.hint:
        parts.append(f"<p style='margin: 0.2em 0 0'>{hint_as_html(verdict.hint)}</p>")
    if link:
        anchor = f"<a href='{link}' target='_blank' rel='noopener'>{link}</a>"
        parts.append(f"<p style='margin: 0.6em 0 0'>{STUCK} {anchor}</p>")
    label = f"The check of {verdict.exercise.name}: not right yet"
    return f"<div role='group' aria-label='{label}' style='{_BOX}'>{''.join(parts)}</div>"


def hint_as_html(hint):
    """*Stressed* words and `code` of a hint, as a notebook shows them."""
    stressed = re.sub(r"(?<![\w*])\*(\w(?:[^*\n]*\w)?)\*(?![\w*])", r"<em>\1</em>", html.escape(hint))
    return re.sub(r"`([^`\n]+)`", rf"<code style='{CODE}'>\1</code>", stressed)


def html_table(caption, columns, body):
    """A table of rows that are HTML already, in the colours of the page it stands in."""
    head = "".join(f"<th scope='col' style='{CELL}'>{column or 'what'}</th>" for column in columns)
    return (
        f"<table style='{_TABLE}'><caption style='{_CAPTION}'>{caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def display(markup):
    """Shows HTML where there is a notebook, and says whether there is."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return False
    import IPython.display  # here, because a plain Python does without

    IPython.display.display(IPython.display.HTML(markup))
    return True


def say(line):
    """Prints a line wherever it is, also on a console that does not know ✓."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "replace").decode(encoding))
