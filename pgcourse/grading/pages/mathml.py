"""The TeX of the lessons as MathML, which browsers draw by themselves: a page needs no script and no network for it.

Known is what the lessons use. Anything else stays what it was, in a <code>.
"""

import re
from html import escape, unescape

MAX_TEX = 2000  # characters of a formula
MAX_DEPTH = 20
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:[.,]\d+)*|\s+|.", re.DOTALL)
_TAG = re.compile(r"\\tag\{([^{}]*)\}")
_MARKUP = re.compile(r"""(<(code|pre)\b.*?</\2>|<(?:"[^"]*"|'[^']*'|[^>"'])*>)""", re.DOTALL)
_FORMULA = re.compile(r"\$\$([^$]+)\$\$|\$([^$]+)\$")


def _table(names, signs):
    return dict(zip(names.split(), signs, strict=True))


LETTERS = {
    **_table("alpha beta gamma delta theta lambda mu pi rho sigma tau phi", "αβγδθλμπρστφ"),
    **_table("epsilon varepsilon eta xi omega psi chi kappa nu zeta", "ϵεηξωψχκνζ"),
    **_table("Phi Psi Delta Gamma Theta Sigma Omega Pi Lambda infty ell", "ΦΨΔΓΘΣΩΠΛ∞ℓ"),
}
OPERATORS = {
    **_table("sum prod int nabla partial cdot times pm mid to", "∑∏∫∇∂⋅×±∣→"),
    **_table("sim approx equiv propto le leq ge geq ne neq ll gg", "∼≈≡∝≤≤≥≥≠≠≪≫"),
    **_table("in notin subset cup cap forall exists neg dots ldots cdots", "∈∉⊂∪∩∀∃¬………"),
    **_table("leftarrow rightarrow longrightarrow Longrightarrow Rightarrow", "←→⟶⟹⇒"),
    **_table("lbrace rbrace langle rangle top", "{}⟨⟩⊤"),
    **_table("| { } % $ & _ #", "‖{}%$&_#"),
    "bmod": "mod",
}
FUNCTIONS = {"log", "exp", "sin", "cos", "tanh", "ln", "det", "dim"}
LIMITS = {"max", "min", "lim", "sup", "inf", "argmax", "argmin"}
SPACES = {",": 0.17, ":": 0.22, ";": 0.28, "!": -0.17, " ": 0.25, "quad": 1, "qquad": 2}
ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "vec": "→", "dot": "˙", "overline": "‾"}
SIZES = {"big": 1.2, "Big": 1.8, "bigg": 2.4, "Bigg": 3}


def with_maths(html):
    """HTML in whose text, outside of code, $…$ and $$…$$ have become MathML; html has each < of a formula escaped."""
    parts = _MARKUP.split(html)
    return "".join(
        _FORMULA.sub(lambda m: mathml(unescape(m[1] or m[2]), m[1] is not None), part) if number % 3 == 0 else part
        for number, part in enumerate(parts)
        if number % 3 != 2
    )


def mathml(tex, display=False):
    """A <math> element for TeX, or a <code> element that holds the TeX."""
    dollars = "$$" if display else "$"
    tag = _TAG.search(tex)
    try:
        if len(tex) > MAX_TEX:
            raise ValueError("too long")
        body = _row(_TOKEN.findall(_TAG.sub("", tex).strip())[::-1], 0)
    except (ValueError, IndexError, RecursionError):
        return f"<code>{escape(dollars + tex + dollars)}</code>"
    if not display:
        return f"<math>{body}</math>"
    number = f'<span class="equation-number">({escape(tag[1])})</span>' if tag else ""
    return f'<span class="equation"><math display="block">{body}</math>{number}</span>'


def _row(tokens, depth, end=None):
    """What stands before the token `end`, which is taken away, or all of it; tokens: the next one last."""
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    parts = []
    while tokens and tokens[-1] != end:
        if tokens[-1] == "\\displaystyle":
            tokens.pop()
            parts.append(f'<mstyle displaystyle="true">{_row(tokens, depth + 1, end)}</mstyle>')
            return f"<mrow>{''.join(parts)}</mrow>"
        if tokens[-1].isspace():
            tokens.pop()
        else:
            parts.append(_scripted(tokens, depth + 1))
    if end is not None:
        tokens.pop()
    return f"<mrow>{''.join(parts)}</mrow>"


def _scripted(tokens, depth):
    """An atom with its indices, exponents and primes."""
    name = tokens[-1].removeprefix("\\")
    base, below, above = _atom(tokens, depth), "", ""
    while tokens and tokens[-1] in ("_", "^", "'"):
        mark = tokens.pop()
        if mark == "_":
            below = _argument(tokens, depth)
        else:
            above += "<mo>′</mo>" if mark == "'" else _argument(tokens, depth)
    above = above and f"<mrow>{above}</mrow>"
    kinds = ("munder", "mover", "munderover") if name in {"sum", "prod", "underbrace", *LIMITS} else ()
    one, other, both = kinds or ("msub", "msup", "msubsup")
    kind = both if below and above else one if below else other
    scripted = f"<{kind}>{base}{below}{above}</{kind}>" if below or above else base
    is_open = bool(tokens) and (tokens[-1] == "(" or tokens[-1] in ("\\big", "\\Big", "\\bigg", "\\left"))
    return scripted + ('<mspace width="0.17em"/>' if name in FUNCTIONS | LIMITS and not is_open else "")


def _argument(tokens, depth):
    """The next group in braces, or the next atom, which is one digit of a number."""
    while tokens[-1].isspace():
        tokens.pop()
    if tokens[-1][0].isdigit():
        tokens += reversed(tokens.pop())
    return _atom(tokens, depth)


def _atom(tokens, depth):
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    token = tokens.pop()
    if token == "{":
        return _row(tokens, depth + 1, "}")
    if token in ("}", "&", "^", "_", "#", "%", "\\"):
        raise ValueError(f"{token} does not stand here")
    if not token.startswith("\\"):
        return _symbol(token)
    name = token[1:]
    if name in LETTERS:
        return f"<mi>{LETTERS[name]}</mi>"
    if name in OPERATORS:
        return f"<mo{_fixed(OPERATORS[name])}>{escape(OPERATORS[name])}</mo>"
    if name in FUNCTIONS:
        return f"<mi>{name}</mi>"
    if name in LIMITS:
        return f'<mo movablelimits="true">{name}</mo>'
    if name in SPACES:
        return f'<mspace width="{SPACES[name]}em"/>'
    if name in ("text", "mathrm", "operatorname", "texttt", "textbf", "mathbf", "mathbb", "mathcal"):
        return _text(name, tokens)
    if name in SIZES or name in ("left", "right"):
        return _delimiter(name, tokens)
    if name in ("frac", "tfrac", "dfrac"):
        style = {"tfrac": ' displaystyle="false"', "dfrac": ' displaystyle="true"'}.get(name, "")
        return f"<mstyle{style}><mfrac>{_argument(tokens, depth)}{_argument(tokens, depth)}</mfrac></mstyle>"
    if name in ("sqrt", "phantom"):
        return f"<m{name}>{_argument(tokens, depth)}</m{name}>"
    if name in ACCENTS:
        return f'<mover accent="true">{_argument(tokens, depth)}<mo stretchy="false">{ACCENTS[name]}</mo></mover>'
    if name == "underbrace":
        return f"<munder>{_argument(tokens, depth)}<mo>⏟</mo></munder>"
    raise ValueError(f"{token} is not known")


def _symbol(token):
    if token.isalpha():
        return f"<mi>{escape(token)}</mi>"
    if token[0].isdigit():
        return f"<mn>{escape(token)}</mn>"
    return f"<mo{_fixed(token)}>{escape({'-': '−', '*': '∗', '~': ' '}.get(token, token))}</mo>"


def _fixed(sign):
    """The attribute of signs that TeX does not stretch."""
    return ' stretchy="false"' if sign in "()[]{}|/‖∣⟨⟩" else ""


def _delimiter(name, tokens):
    sign = tokens.pop()
    sign = OPERATORS.get(sign[1:], sign[1:]) if sign.startswith("\\") else sign
    size = SIZES.get(name)
    exact = f' minsize="{size}em" maxsize="{size}em"' if size else ""
    return f'<mo stretchy="true" symmetric="true"{exact}>{escape("" if sign == "." else sign)}</mo>'


def _text(name, tokens):
    """Letters as they are, in the braces or the next one."""
    letters = [tokens.pop()]
    if letters == ["{"]:
        letters, depth = [], 1
        while depth := depth + {"{": 1, "}": -1}.get(tokens[-1], 0):
            letters.append(tokens.pop())
        tokens.pop()
    words = escape("".join(letters))
    if name == "texttt":
        return f"<mtext><code>{words}</code></mtext>"
    if name in ("text", "textbf"):
        return f"<mtext>{words.replace(' ', '&nbsp;')}</mtext>"
    return f'<mi mathvariant="normal">{words}</mi>'
