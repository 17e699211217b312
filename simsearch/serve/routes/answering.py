"""The work of a search: from a question to the answer's JSON, in a thread."""

from __future__ import annotations

import io
from typing import Any

from simsearch.images.source import Limits
from simsearch.library import AddSettings, Matches
from simsearch.serve.asgi.answers import SCHEMA, Answer, told
from simsearch.serve.held_library import View
from simsearch.serve.routes.question import Options, Question, options_of
from simsearch.serve.settings import ServeSettings

_OF_ONE = ("channel", "metric", "max_distance", "order")


def answer_one(view: View, question: Question, settings: ServeSettings) -> Answer:
    """Return the answer of a single search, schema 1 of `query --json` and the commit that it is of."""
    (one,) = matches_of(view, question, settings).to_list()
    return told({**one, "generation": view.generation})


def answer_many(view: View, question: Question, settings: ServeSettings) -> Answer:
    """Return the answers of many searches, each as of a single one, in the order in which they were asked."""
    found = matches_of(view, question, settings).to_list()
    return told({"schema": SCHEMA, "generation": view.generation, "answers": found})


def matches_of(view: View, question: Question, settings: ServeSettings) -> Matches:
    """Return the matches of a question in one commit.

    Raises:
        InputError: The library cannot be asked so.
    """
    options = question.options
    library = view.by(options.channel)
    if question.images:
        how = options_of(options, settings.max_k, images=True)
        reading = AddSettings(workers=0, limits=limits_of(settings))
        together = _is_fused(options, view) if options.fused is None else options.fused
        if together:
            names = ("k", "group_copies", "min_quality", "views", "max_expected", "max_fpr")
            some = {name: how[name] for name in names if name in how}
            return view.library.search_fused(_files(question), settings=reading, **some)
        return library.search(_files(question), settings=reading, **how)
    if question.ids:
        how = options_of(options, settings.max_k, images=False, items=True)
        return library.search_items(question.ids, **how)
    how = options_of(options, settings.max_k, images=False)
    return library.search_rows(question.array(library.channel), **how)


def limits_of(settings: ServeSettings) -> Limits:
    """Return the bounds on one picture."""
    return Limits(max_pixels=settings.max_pixels, max_bytes=settings.max_body)


def _is_fused(options: Options, view: View) -> bool:
    """Return whether all channels are asked where nobody says: as on the command line, if nothing is said of one."""
    alone = any(getattr(options, name) is not None for name in _OF_ONE)
    alone = alone or options.exact or options.for_query or options.normalise
    return not alone and view.library.can_fuse


def _files(question: Question) -> list[Any]:
    return [io.BytesIO(data) for data in question.images]
