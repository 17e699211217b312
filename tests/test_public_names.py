"""What is public: the names listed here and no others; each resolves, and is explained where it is defined."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import simsearch
from simsearch._lazy import LazyPackage

PUBLIC = {
    "simsearch": """
        Client Extractor Library Match Matches Rejected __version__ distance errors knn load_extractor perturbation
    """,
    "simsearch.act": """
        ActReport Decisions EntryVerdict Feedback ImportReport MatchEvidence Measured PagePair PageSide
        PageWritten PairDecision Plan Unit export_list feedback find_duplicates find_duplicates_to_remove
        import_list list_of_file match_evidence measured perform plan_of read_decisions resume undo
        write_evidence write_page write_report_page
    """,
    "simsearch.benchmark": "Results Settings run_benchmark",
    "simsearch.decide": """
        Area AveragePrecision Calibration CountStatistic Density Draws Estimate Expected HeldOut ImageRecall
        Interval JointRate KnownRates OperatingPoint OwnerRates PairTail RankPoint Ranking RateCurve
        RecallAtFpr RecallAtPrecision Roc Sides Statistic Step Strangers at_least auc auc_on_grid
        bootstrap_by_source bootstrap_ranking clopper_pearson difference_interval drawn_shares held_out
        image_recall_at_fpr in_words mean_interval micro_average_precision most_expected pooled ranked
        rate_for recall_at_fpr recall_at_precision recall_within roc share_of_list shares_within smallest_k
        steps supported threshold_for_precision
    """,
    "simsearch.distance": "Distances METRICS Metric Rows by_name check_rows cosine hamming js l1 l2 metric_name",
    "simsearch.errors": """
        AccessRefused BodyRefused DependencyMissing FingerprintMismatch GuardRefused ImageRejected IndexFailed
        InputError ItemNotFound LibraryDamaged LibraryError LibraryExists LibraryLocked LibraryNotFound LibraryTooNew
        MetricError ModelError ModelNotFound OutputLocked PairTaken ProcessFailed RejectCode RowError
        SearchRunning ServiceBusy ServiceError SimsearchError StorageFull WeightsError
    """,
    "simsearch.extract": """
        Embedded Extractor Method ModelCard QuantisedExtractor Quantiser SeveralExtractor embed_sources
        find_model fit_quantiser floats_from_base64 floats_to_base64 from_base64 from_hex from_vectors
        known_methods list_models load_extractor load_quantiser to_base64 to_hex to_vectors
    """,
    "simsearch.images": """
        Decoded Limits Perturbation Prepared Preprocessing Rejected Source decode find load_bytes perturbation
        prepare quality to_rgb
    """,
    "simsearch.images.perturb": """
        CATEGORIES CHAINS FAMILIES Family MILD PAPER PLATFORM Perturbation by_name chains dejavu_sans_bold
        listing names paper platform
    """,
    "simsearch.library": """
        AddReport AddSettings CalibrationReport Checked CopyPair Duplicate Duplicates EditedCopies Entry FusedReport
        Group ImageList JudgedPair Library LibraryInfo ListCalibration ListMatch ListedPictures Match Matches Picture
        PictureCheck Progress QueryMatches ReembedReport Verdict write_segment
    """,
    "simsearch.scale": """
        FetchingRunner Figure Machine Piece Plan PlanRequest Problem Rows ShardMatches ShardState Shards Training
        build_piece find_objects merge open_merged pieces_of plan rows_of train training_in
    """,
    "simsearch.search": """
        Index IndexSpec Neighbours Pairs Range approximate asymmetric build_index code_pairs image_distances knn
        pairs_by_index read_index row_pairs spec_for within
    """,
    "simsearch.serve": "Added Client ServeSettings ServiceInfo Tokens serve",
    "simsearch.spatial": "CodeTables POINT SecondLook look query_witnesses witness",
    "simsearch.training": "FinetuneConfig finetune",
}
ROOT = Path(simsearch.__file__).parent


def with_public_names() -> set[str]:
    """The packages, and the modules beside them in the package's root, that say what is public."""
    files = {*ROOT.rglob("__init__.py"), *ROOT.glob("[a-z]*.py")}
    dotted = {".".join(("simsearch", *path.relative_to(ROOT).with_suffix("").parts)) for path in files}
    names = {name.removesuffix(".__init__") for name in dotted}
    return {name for name in names if hasattr(importlib.import_module(name), "__all__")}


def under_type_checking(package: str) -> set[str]:
    """The names that a package gives to type checkers alone."""
    tree = ast.parse(Path(importlib.import_module(package).__file__ or "").read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {name.asname for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for name in node.names}
    assigned = {n.id for n in ast.walk(block) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return {name for name in imported if name} | assigned


def test_all_that_is_public_is_listed() -> None:
    assert with_public_names() == set(PUBLIC)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_names_what_is_listed_and_nothing_else(package: str) -> None:
    assert sorted(importlib.import_module(package).__all__) == PUBLIC[package].split()


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_resolves_and_is_explained(package: str) -> None:
    module = importlib.import_module(package)
    for name in PUBLIC[package].split():
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
            assert value.__doc__, name
        elif name != "__version__":  # a constant or an alias of a type, which cannot carry a docstring of its own
            assert f"`{name}`" in (module.__doc__ or ""), name


@pytest.mark.parametrize("package", [name for name in PUBLIC if isinstance(importlib.import_module(name), LazyPackage)])
def test_type_checkers_see_the_names_that_load_on_first_use(package: str) -> None:
    assert under_type_checking(package) == set(vars(importlib.import_module(package))["_homes"])


@pytest.mark.parametrize(
    "statement",
    [
        "import simsearch.training.finetune\nfrom simsearch.training import finetune as name",
        "from simsearch.search.approximate_search import approximate\nfrom simsearch.search import approximate as name",
        "from simsearch.images import decode as name\nimport simsearch.images.decode",
    ],
)
def test_a_public_name_hides_the_module_of_the_same_name(statement: str) -> None:
    code = f"{statement}\nimport inspect\nassert inspect.isfunction(name), name"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"module 'simsearch\.search' has no attribute 'nearest'"):
        importlib.import_module("simsearch.search").nearest  # noqa: B018
