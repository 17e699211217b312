"""What the files of a ledger say of inputs: read when it is asked for, kept while somebody still needs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from simsearch.errors import LibraryDamaged, shown
from simsearch.extract.runner import Outcome
from simsearch.images.source import Source
from simsearch.scale.cluster.ledger import Ledger
from simsearch.scale.cluster.outcomes import Outcomes, decode
from simsearch.scale.cluster.shard import EmbedJob, input_key

_HELD = 8  # decoded files in memory


class DoneShards:
    """The outcomes in a job's ledger, by input; of several files the first that was learnt counts.

    Attributes:
        runtimes: Device and versions that made the rows, by an extractor's fingerprint.
    """

    def __init__(self, job: EmbedJob, ledger: Ledger) -> None:
        self._job, self._ledger = job, ledger
        self.runtimes: dict[str, Mapping[str, str]] = {}
        self._places: dict[bytes, tuple[str, int]] = {}
        self._keys: dict[str, list[bytes]] = {}
        self._users = Counter[str]()
        self._decoded: dict[str, Outcomes] = {}

    def recover(self) -> None:
        """Learn what an earlier run left; what is damaged or says nothing new is removed."""
        for name in self._ledger.names():
            try:
                self.learn(name)
            except LibraryDamaged:
                self._ledger.remove(name)

    def learn(self, name: str) -> None:
        """Take up a file.

        Raises:
            LibraryDamaged: It is not what was written.
            InputError: It is not there.
        """
        if name in self._keys:
            return
        outcomes = self._outcomes(name)
        fresh = [(key, at) for at, key in enumerate(outcomes.keys) if key not in self._places]
        self._places |= {key: (name, at) for key, at in fresh}
        self._keys[name] = [key for key, _ in fresh]
        if not fresh:
            self._forget(name)

    def place(self, source: Source) -> tuple[str, int] | None:
        """Return the file that has an input, and where in it; None where no file has it."""
        return self._places.get(input_key(source))

    def outcome(self, source: Source) -> Outcome:
        """Return the outcome of an input that has a place."""
        name, at = self._places[input_key(source)]
        return self._outcomes(name).of(at, source)

    def use(self, name: str) -> None:
        """Keep a file until `leave` was called as often."""
        self._users[name] += 1

    def leave(self, name: str) -> None:
        """Say that what was used of a file is committed; once nobody uses it any more it is removed."""
        self._users[name] -= 1
        if not self._users[name]:
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._ledger.remove(name)
        for key in self._keys.pop(name, ()):
            del self._places[key]
        self._decoded.pop(name, None)
        del self._users[name]

    def _outcomes(self, name: str) -> Outcomes:
        if name not in self._decoded:
            outcomes = decode(self._ledger.read(name), self._job, whose=shown(name))
            while len(self._decoded) >= _HELD:
                del self._decoded[next(iter(self._decoded))]
            self._decoded[name] = outcomes
            self.runtimes |= dict(zip(self._job.fingerprints, outcomes.runtimes, strict=True))
        return self._decoded[name]
