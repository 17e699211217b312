"""The methods of a run: loaded by name, those that cannot run listed with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from simsearch.benchmark.data.array_cache import digest
from simsearch.benchmark.data.edit_set import module_source
from simsearch.benchmark.results import Method
from simsearch.benchmark.settings import Settings
from simsearch.distance import METRICS
from simsearch.errors import DependencyMissing, InputError, ModelNotFound, WeightsError
from simsearch.extract.extractor import Extractor, Kind
from simsearch.extract.load import class_of, is_method_name, known_methods, load_extractor
from simsearch.extract.zoo.find import find_model, has_weights, list_models
from simsearch.naming import base_name, is_class_name
from simsearch.runtime.provenance import portable

_NETWORKS = "networks"
_SLASH = "/"


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """A method's description for comparing its stored rows, without the method itself.

    Attributes:
        key: Of its stored rows: all that determines them, including versions of libraries.
        method: Its record in the results.
        device: Of comparing its rows.
    """

    key: str
    method: Method
    device: str


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A method that can run.

    Attributes:
        requested: The name in the settings, for a worker.
        extractor: Of the method.
        method: Its record in the results.
        in_worker: Whether it runs on decoded images in the worker processes; a network runs on pixels in this one.
        spec: The same without the extractor, for a worker.
    """

    requested: str
    extractor: Extractor
    method: Method
    in_worker: bool
    spec: MethodSpec


def assemble(settings: Settings) -> tuple[list[MethodEntry], list[Method]]:
    """Return the methods that can run, and the records of all in order, the missing ones with their reason.

    Raises:
        InputError: A name is unknown or given twice, or a metric is not defined on its rows.
    """
    entries: list[MethodEntry] = []
    methods: list[Method] = []
    for name in _expanded(settings.models):
        try:
            entry = enter(name, settings)
        except (DependencyMissing, WeightsError) as error:
            methods.append(_missing(name, str(error)))
            continue
        taken = {method.name for method in methods}
        if entry.method.name in taken and _SLASH in name:
            entry = renamed(entry, portable(name))
        if entry.method.name in taken:
            raise InputError(f"{entry.method.name} stands twice among the models {', '.join(settings.models)}")
        entries.append(entry)
        methods.append(entry.method)
    if unknown := set(settings.metrics) - {method.name for method in methods}:
        raise InputError(f"metrics are set for {sorted(unknown)}, which are not among the models; correct the names")
    return entries, methods


def enter(name: str, settings: Settings) -> MethodEntry:
    """Load one method.

    Raises:
        DependencyMissing: An optional package is not installed.
        WeightsError: The weights are not there.
        InputError: There is no such method, or a metric is not defined on its rows.
    """
    extractor = load_method(name, settings.device)
    kind = "user" if is_class_name(name) else extractor.kind
    # A hash may declare its bits; by default all bits of its bytes count.
    bits = (extractor.bits or 8 * extractor.dimension) if extractor.gives_codes else None
    method = Method(
        name=extractor.name,
        label=label_of(extractor.name, extractor.label),
        kind=kind,
        metric=extractor.metric,
        metrics=_metrics(extractor, kind, settings),
        fingerprint=extractor.fingerprint,
        bits=bits,
        dimension=None if bits else extractor.dimension,
        several=extractor.several,
        cutoff=extractor.cutoff,
        runtime=extractor.runtime(),
    )
    own = type(extractor)
    in_worker = extractor.several or own.rows is not Extractor.rows or own.parts is not Extractor.parts
    # A user's own class may change under its fingerprint.
    source = module_source(base_name(name)) if is_class_name(name) else None
    key = digest(extractor.fingerprint, extractor.runtime(), *([source] if source else ()))
    return MethodEntry(
        name, extractor, method, in_worker, MethodSpec(key, method, "cpu" if in_worker else settings.device)
    )


def renamed(entry: MethodEntry, name: str) -> MethodEntry:
    """Return the same method under another name, as a model's folder where two models share a name."""
    method = replace(entry.method, name=name, label=name)
    return replace(entry, method=method, spec=replace(entry.spec, method=method))


def load_method(name: str, device: str = "auto") -> Extractor:
    """Load the extractor of that name: a hash, keypoints, a network or a user's own class."""
    try:
        return load_extractor(name, device=device)
    except ModelNotFound as error:
        if is_class_name(name) or _SLASH in name:
            raise
        known = ", ".join(method.name for method in known_methods())
        raise InputError(f"no method is called {name!r}; there are {known}, a folder, or module:Class") from error


def label_of(name: str, label: str) -> str:
    """Return a method's name in tables: the label, where it has one, in place of all but the parameters.

    Example:
        >>> label_of("phash(size=16)", "pHash"), label_of("mini", "")
        ('pHash (size=16)', 'mini')
    """
    head, bracket, tail = name.partition("(")
    return f"{label or head} ({tail}" if bracket else label or head


def with_parameter(name: str, parameter: str, value: int) -> str:
    """Return a method's name with one parameter more.

    Example:
        >>> with_parameter("phash", "size", 11), with_parameter("orb(count=40)", "cutoff", 5)
        ('phash(size=11)', 'orb(count=40,cutoff=5)')
    """
    return f"{name[:-1]},{parameter}={value})" if name.endswith(")") else f"{name}({parameter}={value})"


def _missing(name: str, why: str) -> Method:
    if is_method_name(name):
        found = class_of(name)
        return Method(name, label_of(name, found.label), found.kind, missing=why)
    return Method(name, label_of(name, ""), "user" if is_class_name(name) else "network", missing=why)


def _expanded(names: Sequence[str]) -> list[str]:
    """Return the names with `networks` replaced by all models with local weights that are not named already."""
    cards = list_models() if _NETWORKS in names else []
    zoo = [card.name for card in cards if card.name not in names and has_weights(find_model(card.name))]
    return [one for name in names for one in (zoo if name == _NETWORKS else [name])]


def _metrics(extractor: Extractor, kind: Kind, settings: Settings) -> tuple[str, ...]:
    requested = settings.metrics.get(extractor.name, ())
    if extractor.metric not in METRICS:
        raise InputError(f"{extractor.name} have no distance, and are looked at beside rows that have: leave them out")
    if not requested and settings.compare_distances and kind == "network":
        requested = tuple(
            name
            for name, metric in METRICS.items()
            if not metric.of_codes and (extractor.non_negative or not metric.non_negative)
        )
    if wrong := [name for name in requested if METRICS[name].non_negative and not extractor.non_negative]:
        raise InputError(
            f"{wrong[0]} is not defined on the rows of {extractor.name}, which may be negative; leave it out"
        )
    if any(METRICS[name].of_codes != extractor.gives_codes for name in requested):
        raise InputError(f"{extractor.name} is compared by {extractor.metric}, not by {', '.join(requested)}")
    first = [metric for metric in requested if metric == extractor.metric]
    return (*first, *(metric for metric in requested if metric != extractor.metric)) or (extractor.metric,)
