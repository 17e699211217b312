"""Row to neighbours: exact search on the chosen device, indexes where every row is too much, and all near pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.search.approximate_search import approximate as approximate
    from simsearch.search.exact import knn as knn
    from simsearch.search.hamming.asymmetric import asymmetric as asymmetric
    from simsearch.search.indexes import index
    from simsearch.search.indexes.index import Index as Index
    from simsearch.search.indexes.spec import IndexSpec as IndexSpec
    from simsearch.search.indexes.spec import spec_for as spec_for
    from simsearch.search.multi_vector.distances import image_distances as image_distances
    from simsearch.search.range_search import within as within
    from simsearch.search.results import Neighbours as Neighbours
    from simsearch.search.results import Range as Range
    from simsearch.search.self_join import Pairs as Pairs
    from simsearch.search.self_join import code_pairs as code_pairs
    from simsearch.search.self_join import pairs_by_index as pairs_by_index
    from simsearch.search.self_join import row_pairs as row_pairs

    build_index, read_index = index.build, index.read

attach(
    __name__,
    {
        "Index": "indexes.index",
        "IndexSpec": "indexes.spec",
        "Neighbours": "results",
        "Pairs": "self_join",
        "Range": "results",
        "approximate": "approximate_search",
        "asymmetric": "hamming.asymmetric",
        "build_index": "indexes.index:build",
        "code_pairs": "self_join",
        "image_distances": "multi_vector.distances",
        "knn": "exact",
        "pairs_by_index": "self_join",
        "read_index": "indexes.index:read",
        "row_pairs": "self_join",
        "spec_for": "indexes.spec",
        "within": "range_search",
    },
)
