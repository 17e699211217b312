"""The losses of training: contrast of the very row that is searched, its entropy, distillation, labelled pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

FLOOR = 1e-6
"""Added to each coordinate before the root, whose slope is infinite at zero."""


def root(rows: Tensor) -> Tensor:
    """Return unit vectors (n, d) whose inner product is the Bhattacharyya coefficient of two rows.

    js follows that coefficient BC closely: the divergence lies between ln 2 (1 - BC) and 1.4427 times that.

    Args:
        rows: (n, d), non-negative, not all zero.

    Reference: Bhattacharyya, "On a measure of divergence between two multinomial populations", 1946.
    """
    total = rows.sum(dim=1, keepdim=True).clamp_min(1e-6)
    return F.normalize((rows / total + FLOOR).sqrt(), dim=1)


def unit(rows: Tensor, similarity: str) -> Tensor:
    """Return unit vectors (n, d) whose inner product is the similarity that the search will use.

    Args:
        rows: (n, d) as the network gives them; for `js` non-negative.
        similarity: `js` (by the root) or `cosine`.
    """
    return root(rows) if similarity == "js" else F.normalize(rows, dim=1, eps=1e-6)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that anchors are compared with.

    Attributes:
        rows: (m, d) unit vectors: both views of the batch, of all devices, and perhaps of earlier batches.
        images: (m,) which image each shows.
    """

    rows: Tensor
    images: Tensor


def contrast(anchors: Tensor, images: Tensor, keys: Keys, *, partners: Tensor, temperature: float) -> Tensor:
    """Return the mean cross entropy of finding each anchor's partner among the keys.

    Keys that show the anchor's own image, itself among them, are no negatives: only the partner counts.

    Args:
        anchors: (n, d) unit vectors.
        images: (n,) which image each shows.
        keys: All that may be found.
        partners: (n,) position of each anchor's partner among the keys.
        temperature: Divisor of the similarities.

    Reference: van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018; with keys of
        earlier batches Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018.
    """
    same = images.view(-1, 1) == keys.images.view(1, -1)
    same.scatter_(1, partners.view(-1, 1), value=False)
    logits = (anchors @ keys.rows.T / temperature).masked_fill(same, float("-inf"))
    return F.cross_entropy(logits, partners)


def blended_contrast(
    mixed: Tensor, clean: Tensor, *, parts: tuple[Tensor, Tensor], share: Tensor, temperature: float
) -> Tensor:
    """Return the mean cross entropy of finding both images of which each mixture was made, in its shares.

    Args:
        mixed: (k, d) unit vectors of mixtures.
        clean: (n, d) unit vectors of the images.
        parts: Positions (k,) of both images of each mixture.
        share: (k,) of the first image.
        temperature: Divisor of the similarities.

    Reference: Pizzi et al., "A Self-Supervised Descriptor for Image Copy Detection", 2022, who mix images likewise.
    """
    log_p = F.log_softmax(mixed @ clean.T / temperature, dim=1)
    first, second = (log_p.gather(1, part.view(-1, 1)).squeeze(1) for part in parts)
    return -(share * first + (1 - share) * second).mean()


def distillation(student: Tensor, teacher: Tensor, *, temperature: float, teacher_temperature: float) -> Tensor:
    """Return the cross entropy between both models' similarities of the images of a batch.

    SimCLR v2 distils the probabilities of classes; here the other images of the batch stand for them.

    Args:
        student: (n, d) unit vectors.
        teacher: (n, D) unit vectors of the same images.
        temperature: Divisor of the student's similarities.
        teacher_temperature: Divisor of the teacher's.

    Reference: Chen et al., "Big Self-Supervised Models are Strong Semi-Supervised Learners", 2020, section 3.3.
    """
    others = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    n = len(student)
    wanted = (teacher @ teacher.T)[others].view(n, n - 1) / teacher_temperature
    log_p = (student @ student.T)[others].view(n, n - 1) / temperature
    return -(F.softmax(wanted, dim=1) * F.log_softmax(log_p, dim=1)).sum(dim=1).mean()


def labelled(a: Tensor, b: Tensor, copies: Tensor, *, margin: float) -> Tensor:
    """Return the mean cost of pairs: copies that are not alike, and others that are more alike than the margin.

    Args:
        a: (n, d) unit vectors.
        b: (n, d) unit vectors.
        copies: (n,) bool.
        margin: Similarity below which a pair that is no copy costs nothing.

    Reference: Hadsell, Chopra & LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", 2006.
    """
    alike = (a * b).sum(dim=1)
    return torch.where(copies, 1 - alike, (alike - margin).clamp(min=0)).square().mean()


def nt_xent(a: Tensor, b: Tensor, *, temperature: float) -> Tensor:
    """Return the normalised temperature-scaled cross entropy of two views of the same n images.

    Args:
        a: (n, d) unit vectors of the first view.
        b: (n, d) unit vectors of the second view, in the same order.
        temperature: Divisor of the similarities.

    Reference: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020.
    """
    images = torch.arange(len(a), device=a.device).repeat(2)
    both, partners = torch.cat([a, b]), torch.arange(2 * len(a), device=a.device).roll(len(a))
    return contrast(both, images, Keys(both, images), partners=partners, temperature=temperature)


def koleo(z: Tensor) -> Tensor:
    """Return the Kozachenko-Leonenko regulariser: minus the mean log distance to the nearest other row.

    Args:
        z: (n, d) unit vectors of n different images, n >= 2.

    Reference: Sablayrolles et al., "Spreading vectors for similarity search", 2019.
    """
    with torch.no_grad():
        similarity = z @ z.T
        similarity.fill_diagonal_(-2.0)
        nearest = similarity.argmax(dim=1)
    return -torch.log((z - z[nearest]).norm(dim=1) + 1e-6).mean()
