"""The losses, compared with slow and simple ones; pixels without a label have no effect."""

from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segtasks.config.train_job import Loss
from segtasks.training.losses import loss_of, mass_of

LOSSES: tuple[Loss, ...] = get_args(Loss)
IGNORE = 255
K = 4


def case(seed: int) -> tuple[Tensor, Tensor]:
    """Return logits and labels, a third of which are void; class 3 does not occur."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, K, 6, 7, generator=draw, dtype=torch.float32)
    labels = torch.randint(K - 1, (2, 6, 7), generator=draw)
    labels[torch.rand(labels.shape, generator=draw) < 1 / 3] = IGNORE
    return logits, labels


def labelled(logits: Tensor, labels: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return probabilities (P, K) and class ids (P,) of the labelled pixels."""
    known = labels != IGNORE
    return logits.softmax(1).movedim(1, -1)[known].numpy(), labels[known].numpy()


def test_cross_entropy_is_torchs_with_class_weights() -> None:
    logits, labels = case(1)
    weights = torch.tensor([0.5, 1, 2, 3])
    expected = functional.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORE)
    torch.testing.assert_close(loss_of(logits, labels, weights, IGNORE), expected)


def test_dice_is_one_minus_the_mean_overlap_of_the_classes_present() -> None:
    logits, labels = case(2)
    found, truth = labelled(logits, labels)
    losses = []
    for k in range(K - 1):  # class 3 is not there
        mine, p = truth == k, found[:, k]
        losses.append(1 - 2 * (p * mine).sum() / (p.sum() + mine.sum()))
    loss = loss_of(logits, labels, torch.ones(K), IGNORE, "dice")
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_lovasz_is_the_jaccard_loss_summed_along_sorted_errors() -> None:
    """Berman et al., eq. 9: sum of errors, sorted, x the growth of the Jaccard loss of the set."""
    logits, labels = case(3)
    found, truth = labelled(logits, labels)
    losses = []
    for k in range(K - 1):
        mine = truth == k
        errors = np.abs(found[:, k] - mine)
        order = np.argsort(-errors, kind="stable")
        total, before = 0.0, 0.0
        for count in range(1, len(order) + 1):
            wrong = np.zeros(len(order), bool)
            wrong[order[:count]] = True
            jaccard = 1 - (mine & ~wrong).sum() / (mine | wrong).sum()
            total += errors[order[count - 1]] * (jaccard - before)
            before = jaccard
        losses.append(total)
    loss = loss_of(logits, labels, torch.ones(K), IGNORE, "lovasz")
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_sum_is_the_sum_of_its_parts() -> None:
    logits, labels = case(4)
    weights = torch.rand(K)
    for kind in ("dice", "lovasz"):
        parts = [loss_of(logits, labels, weights, IGNORE, part) for part in ("cross_entropy", kind)]
        both = loss_of(logits, labels, weights, IGNORE, f"cross_entropy+{kind}")  # type: ignore[arg-type]
        torch.testing.assert_close(both, sum(parts))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
def test_pixels_without_a_label_change_nothing(kind: Loss, poison: float) -> None:
    logits, labels = case(5)
    poisoned = torch.where((labels == IGNORE)[:, None], poison, logits)
    found = []
    for values in (logits, poisoned):
        leaf = values.clone().requires_grad_()
        loss = loss_of(leaf, labels, torch.ones(K), IGNORE, kind)
        loss.backward()  # type: ignore[no-untyped-call]
        assert leaf.grad is not None
        found.append((loss.detach(), leaf.grad))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    gradient = found[1][1].movedim(1, -1)
    assert (gradient[labels == IGNORE] == 0).all()
    assert (gradient[labels != IGNORE] != 0).any()


@pytest.mark.parametrize("kind", LOSSES)
def test_a_crop_without_labels_costs_nothing(kind: Loss) -> None:
    leaf = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = loss_of(leaf, torch.full((1, 4, 4), IGNORE), torch.ones(3), IGNORE, kind)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert leaf.grad is not None
    assert not leaf.grad.any()


@pytest.mark.parametrize("kind", LOSSES)
def test_the_right_answer_costs_little_and_the_wrong_one_much(kind: Loss) -> None:
    _, labels = case(6)
    truth = functional.one_hot(labels.clamp(max=K - 1), K).movedim(-1, 1).float() * 20
    right = loss_of(truth, labels, torch.ones(K), IGNORE, kind)
    wrong = loss_of(truth.roll(1, dims=1), labels, torch.ones(K), IGNORE, kind)
    assert right < 1e-4
    assert wrong > 0.9


def test_the_mass_of_labels_is_the_sum_of_their_weights() -> None:
    labels = torch.tensor([[[0, 2, IGNORE], [2, 1, IGNORE]]])
    assert mass_of(labels, torch.tensor([1, 10, 100, 1000.0])) == 211
