"""HTML put together so that nothing can slip in: text is escaped, only what `tag` made is not."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

_VOID = {"img", "meta", "br"}


class Markup(str):
    """HTML that is safe to stand in a page as it is."""

    __slots__ = ()


Child: TypeAlias = str | Iterable[str] | None


def text(child: Child) -> Markup:
    """The HTML of a text, of HTML, or of several of both; nothing for None.

    Example:
        >>> text("a < b"), text(["<i>", tag("b", "c")])
        ('a &lt; b', '&lt;i&gt;<b>c</b>')
    """
    if child is None:
        return Markup()
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return Markup(html.escape(child, quote=True))
    return Markup("".join(text(one) for one in child))


def tag(element: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """An element; `class_` is the attribute class, underscores become dashes; None and False leave an attribute out.

    Example:
        >>> tag("a", "next & last", href="#end", class_="far")
        '<a href="#end" class="far">next &amp; last</a>'
    """
    head = element
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        head += f" {attribute}" if value is True else f' {attribute}="{html.escape(str(value), quote=True)}"'
    if element in _VOID:
        return Markup(f"<{head}>")
    return Markup(f"<{head}>{''.join(text(child) for child in children)}</{element}>")


def sentence(words: str, **parts: Child) -> Markup:
    """A text with elements in the places of its {names}; the text itself is escaped.

    Example:
        >>> sentence("{n} of <these>", n=tag("b", "3"))
        '<b>3</b> of &lt;these&gt;'
    """
    return Markup(html.escape(words, quote=True).format(**{key: text(part) for key, part in parts.items()}))
