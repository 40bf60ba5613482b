"""What the feedback pages and the report have in common: templates that escape everything, code, Markdown, words."""

import re
from functools import lru_cache
from html import escape

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from pgcourse.grading.pages.markdown import clean_markdown, is_long
from pgcourse.grading.pages.mathml import with_maths
from pgcourse.judging.statuses import Status

MAX_LINES = 1000  # longer code stays black and white
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ANCHOR = re.compile(r"<a\b[^>]*>&#182;</a>")
_TAG = re.compile(r"""<(/?)(\w+)((?:"[^"]*"|'[^']*'|[^>"'])*)>""")
_ATTRIBUTE = re.compile(r"""\s([\w-]+)(?:=(?:"[^"]*"|'[^']*'|[^\s>]*))?""")


def rendered(template, **values):
    """The page that a template makes of values, as a str that UTF-8 can encode."""
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment():
    environment = Environment(
        loader=PackageLoader("pgcourse.grading.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else visible(value),
    )
    environment.filters.update(code=code, number=number)
    environment.globals.update(Status=Status)
    return environment


def is_refused(result):
    """Whether nothing in the file was graded: then all its checks say only why."""
    return result["status"] != Status.PASSED and all(e["message"] == result["reason"] for e in result["exercises"])


def visible(text):
    """Text in which nothing hides: control characters, lone surrogates and those that turn text round are spelt out."""
    text = _COLOUR.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def number(value):
    """Points: 2 and not 2.0, at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def code(source):
    """Python as HTML, coloured by class names, for a <pre>."""
    source = visible(source)
    if is_long(source) or source.count("\n") > MAX_LINES:
        return plain(source)
    return Markup(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)))


def plain(source):
    return Markup(escape(visible(source)))


def markdown(source, attachments=None):
    """A stranger's Markdown as harmless HTML with MathML; its headings are two levels down."""
    source = visible(source)
    try:
        if is_long(source):
            raise ValueError("too long")
        html = clean_markdown({"cell": {"attachments": attachments or {}}}, source)
        return Markup(with_maths(_TAG.sub(_in_place, _ANCHOR.sub("", html))))
    except Exception:  # a missing attachment, or whatever a parser makes of nonsense
        return Markup("<pre>{}</pre>").format(plain(source))


def _in_place(tag):
    """The tag without what could pass for a part of our page: ids, classes and large headings."""
    slash, name, rest = tag.groups()
    if re.fullmatch("h[1-6]", name):
        name = f"h{min(6, int(name[1]) + 2)}"
    rest = _ATTRIBUTE.sub(lambda found: "" if found[1] in ("id", "class") else found[0], rest)
    return f"<{slash}{name}{rest}>"


course_code, course_markdown = lru_cache(1024)(code), lru_cache(1024)(markdown)  # the same in every submission
