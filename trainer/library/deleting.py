"""Deleting: a version without the videos, which then leave the feature store, so that no build finds them."""

import difflib
from collections.abc import Sequence, Set
from pathlib import Path

from engine.corpus import open_corpus
from engine.errors import NotFound, quoted
from engine.printable import in_one_form
from trainer.ingest import kept
from trainer.library.changes import without
from trainer.library.steps import Change, Whereabouts, make_current
from workers.feature_store.recalling import deleted


def delete(collection: Path, ids: Sequence[str], again: bool = False, purging: bool = False) -> Change:
    """Delete videos from the current version and from the feature stores.

    again: an earlier try may have done it already, so that an unknown id is no error. purging: a purge is to
    follow, which may name what was deleted before. The caller holds the writer's lock. NotFound for an
    unknown id, with those that are near it; nothing is deleted then.
    """
    corpus = open_corpus(collection)
    # All are opened for writing before anything is done: a store that is locked refuses the whole.
    with kept.stores(collection) as stores:
        gone = [record.id for store in stores for record in deleted(store)] if purging else []
        known = {*corpus.catalogue.ids, *gone, *(video for store in stores for video in store.ids())}
        wanted = _spelt(ids, known)
        if not again:
            _check_known(known, wanted)
        there = [video for video in wanted if video in corpus.catalogue]
        version = corpus.id
        if there:
            shards = without(corpus.version.shards, Whereabouts(corpus).places(there))
            version = make_current(corpus, shards, "delete")
        for store in stores:
            for video in (video for video in wanted if video in store):
                store.forget(video, deleted=True)
        # While no ingest runs: it keeps texts and pictures before it stores their video.
        kept.sweep(collection)
    return Change(version, tuple(wanted))


def _spelt(ids: Sequence[str], known: Set[str]) -> list[str]:
    """Return ids sorted, each once, and as videos have them: typed, some are in another Unicode form."""
    forms = {in_one_form(video): video for video in known if not video.isascii()}
    return sorted({video if video in known else forms.get(in_one_form(video), video) for video in ids})


def _check_known(known: Set[str], wanted: Sequence[str]) -> None:
    unknown = [video for video in wanted if video not in known]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], sorted(known), 3, 0.5)
    hint = f"did you mean {', '.join(map(quoted, near))}?" if near else "searches tell the ids there are."
    more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    message = f"video {quoted(unknown[0])}{more} is not in the collection, so nothing was deleted: {hint}"
    raise NotFound(message, "VIDEO_NOT_FOUND")
