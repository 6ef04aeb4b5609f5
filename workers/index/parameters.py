"""Search parameters and inverted lists of a FAISS index, wherever they are nested."""

from typing import Any

import faiss


def inverted_lists(index: Any) -> Any:
    """Return the inverted-list index inside `index`, or None."""
    ivf = faiss.try_extract_index_ivf(index)
    return None if ivf is None else faiss.downcast_index(ivf)


def search_parameters(index: Any, nprobe: int, factor: float = 1.0, selector: Any = None) -> Any:
    """Return what sets nprobe (0: as the index says), the candidates a hit and the rows that may be found.

    They are nested as the index is. selector: a faiss.IDSelector, None for all rows. None for an index that
    has none of them.
    """
    ivf = inverted_lists(index)
    index = faiss.downcast_index(index)
    kinds: Any = faiss  # the stubs know the parameters without their fields
    if isinstance(index, faiss.IndexRefine):
        inner = search_parameters(index.base_index, nprobe, selector=selector)
        return kinds.IndexRefineSearchParameters(base_index_params=inner, k_factor=factor)
    if ivf is None and selector is None:
        return None
    if isinstance(index, faiss.IndexPreTransform):
        inner = search_parameters(index.index, nprobe, factor, selector)
        return kinds.SearchParametersPreTransform(index_params=inner)
    given = {} if selector is None else {"sel": selector}
    if ivf is None:
        return kinds.SearchParameters(**given)
    return kinds.SearchParametersIVF(nprobe=min(nprobe or int(ivf.nprobe), int(ivf.nlist)), **given)
