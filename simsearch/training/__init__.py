"""Training: contrastive learning of the row that is searched, and export to a model folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.training.config import FinetuneConfig as FinetuneConfig
    from simsearch.training.finetune import finetune as finetune

attach(__name__, {"FinetuneConfig": "config", "finetune": "finetune"})
