"""A stranger's Markdown as HTML that can do nothing to who reads it: for Formgrader and for feedback pages."""

import re

import bleach
from jinja2 import pass_context
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
_ACTIVE = re.compile(r"\\(href|require|style|class|cssId)(?![A-Za-z])")  # MathJax's way to make links and styles
_LINK = re.compile(r"https?://|mailto:|#|\.{0,2}/|[\w-]+(\.\w+)*(#[\w-]*)?$")
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
    source = _ACTIVE.sub(r"\1", source)
    attachments = _Pictures(context.get("cell", {}).get("attachments", {}))
    render = MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=attachments)).render
    try:
        html = render(source)
    except InvalidNotebook:  # of a picture that did not come with it; the page is to be shown all the same
        html = render(source.replace("attachment:", "missing-attachment:"))
    return bleach.clean(html, tags=TAGS, attributes=_is_harmless, protocols={"http", "https", "mailto", "data"})


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
