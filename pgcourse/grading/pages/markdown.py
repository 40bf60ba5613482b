"""A stranger's Markdown as HTML that can do nothing to who reads it: for Formgrader and for feedback pages."""

import re
from html import escape

import bleach
from jinja2 import pass_context
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath

TAGS = {
    *(
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "p",
        "br",
        "hr",
        "div",
        "span",
        "pre",
        "code",
        "blockquote",
        "ul",
        "ol",
        "li",
    ),
    *("a", "img", "strong", "b", "em", "i", "u", "del", "s", "sub", "sup", "kbd", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
MAX = 20_000  # characters: longer text, and longer code, stays as it was written
NOTE = "(This is too long to be shown as anything but text; the file that was handed in is as it was.)"
_BLANKS = re.compile(r"\s{500}")  # what colours code goes through them again and again
_ACTIVE = re.compile(r"\\(href|require|style|class|cssId)(?![A-Za-z])")  # MathJax's way to make links and styles
_LINK = re.compile(r"https?://|mailto:|#|\.{0,2}/(?![/\\\s])|[\w-]+(\.\w+)*(#[\w-]*)?$")
_CLASSES = re.compile(r"(highlight|hl-\w+|hll|anchor-link|[a-z]{1,2}\d?|\s)+")  # of code; a page's own do much more
_PICTURE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]+$")


class _Pictures(dict):
    """Attachments, of which no more is shown than each of them twice: a name costs nothing to repeat."""

    def __init__(self, attachments):
        super().__init__(attachments)
        self._left = 2 * sum(len(text) for bundle in self.values() for text in bundle.values())

    def __getitem__(self, name):
        bundle = super().__getitem__(name)
        self._left -= sum(map(len, bundle.values()))
        if self._left < 0:
            raise InvalidNotebook(f"{name} is shown too often")
        return bundle


@pass_context
def clean_markdown(context, source):
    """A Jinja filter: nbconvert's markdown2html, then only harmless elements, links and pictures that come with it."""
    if is_long(source):
        return _as_text(source)
    source = _ACTIVE.sub(r"\1", source)
    attachments = _Pictures(context.get("cell", {}).get("attachments", {}))
    render = MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=attachments)).render
    try:
        html = render(source)
    except InvalidNotebook:  # of a picture that did not come with it; the page is to be shown all the same
        html = render(source.replace("attachment:", "missing-attachment:"))
    return bleach.clean(html, tags=TAGS, attributes=_is_harmless, protocols={"http", "https", "mailto", "data"})


def is_long(source):
    """Whether making a page of it could hold whoever waits for that."""
    return len(source) > MAX or bool(_BLANKS.search(source))


def _as_text(source):
    return f"<pre>{NOTE}\n\n{escape(source)}</pre>"


def code(source, language=None, metadata=None):
    """A Jinja filter: nbconvert's highlight_code, for code of which it is soon done."""
    if is_long(source):
        return f'<div class="highlight">{_as_text(source)}</div>'
    return Highlight2HTML(pygments_lexer="ipython3")(source, language, metadata)


def _is_harmless(tag, name, value):
    if (tag, name) == ("a", "href"):
        return bool(_LINK.match(value))
    if (tag, name) == ("img", "src"):
        return bool(_PICTURE.match(value))
    if name == "class":
        return bool(_CLASSES.fullmatch(value))
    return name in ("title", "alt", "width", "height", "open", "align", "scope") or (
        name == "id" and bool(re.fullmatch(r"[\w.:%-]+", value))
    )
