"""What must and must not change the output of every multimodal system, in evaluation, float64."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.builders.train import acn_tiny, co_mipn_tiny, ita_tiny, rpi_hmif_tiny, vec_mner_reference
from train.data.examples import Example
from train.systems.base import TaggingModel

Batch = dict[str, Any]


@dataclass(frozen=True)
class System:
    """A model, tweets of which the first and the third have an image, and what its masks hide.

    `text_noise` and `image_noise` return a batch with other values at padded positions, and at the
    places of missing images.
    """

    model: TaggingModel
    tweets: list[Example]
    text_noise: Callable[[Batch], Batch]
    image_noise: Callable[[Batch], Batch]

    @torch.no_grad()
    def emissions(self, batch: Batch) -> list[Tensor]:
        """Return each sentence's emissions. # shape of each: (its positions, K)"""
        output = self.model(batch)
        return [row[mask] for row, mask in zip(output.emissions, output.mask, strict=True)]


def other_ids(ids: Tensor, mask: Tensor) -> Tensor:
    """Return the ids with others where the mask is false."""
    assert not mask.all()
    return torch.where(mask, ids, 7)


def other_pixels(images: Tensor, present: Tensor) -> Tensor:
    """Return the images with noise where one is missing. # shape: (B, n, 3, H, W)"""
    return torch.where(present[..., None, None, None], images, torch.randn_like(images))


def acn(encoder: Path, folder: Path) -> System:
    tweets = acn_tiny.examples(5, 9, 3)
    tweets[1] = acn_tiny.example(1, 9, ok=False)

    def text_noise(batch: Batch) -> Batch:
        places = torch.arange(batch["char_ids"].shape[2])
        characters = places < batch["char_lengths"][..., None]
        return {
            **batch,
            "word_ids": other_ids(batch["word_ids"], batch["mask"]),
            "char_ids": other_ids(batch["char_ids"], characters),
        }

    def image_noise(batch: Batch) -> Batch:
        there = batch["has_image"][:, None, None]
        return {**batch, "image": torch.where(there, batch["image"], 9.0)}

    return System(acn_tiny.small_model(), tweets, text_noise, image_noise)


def ita(encoder: Path, folder: Path) -> System:
    def noisy(batch: Batch, view: str) -> Batch:
        ids, mask = batch[view]["input_ids"], batch[view]["attention_mask"]
        return {**batch, view: {**batch[view], "input_ids": other_ids(ids, mask > 0)}}

    def image_noise(batch: Batch) -> Batch:
        """Behind the tweet without image words is padding, where other tweets have them."""
        assert batch["has_context"].tolist() == [True, False, True]
        return noisy(batch, "mm")

    model = ita_tiny.build(encoder).double().eval()
    return System(
        model, ita_tiny.examples()[:3], lambda b: noisy(noisy(b, "text"), "mm"), image_noise
    )


def vec_mner(encoder: Path, folder: Path) -> System:
    weights = vec_mner_reference.write_checkpoints(folder, encoder, vocab_size=200)
    tweets = vec_mner_reference.examples()
    tweets[1] = vec_mner_reference.examples(missing=("crops",))[1]

    def image_noise(batch: Batch) -> Batch:
        pairs = zip(batch["images"], batch["present"], strict=True)
        return {**batch, "images": [other_pixels(*pair) for pair in pairs]}

    model = vec_mner_reference.reference_model(weights, **vec_mner_reference.CLEAN)
    return System(model, tweets, of_pieces, image_noise)


def co_mipn(encoder: Path, folder: Path) -> System:
    folders = co_mipn_tiny.write_checkpoints(folder, encoder)
    tweets = co_mipn_tiny.examples()
    tweets[1] = co_mipn_tiny.example(1, crops=1)

    def image_noise(batch: Batch) -> Batch:
        return {**batch, "images": other_pixels(batch["images"], batch["present"])}

    return System(co_mipn_tiny.build(folders).double(), tweets, of_pieces, image_noise)


def rpi_hmif(encoder: Path, folder: Path) -> System:
    model = rpi_hmif_tiny.make_model(encoder, rpi_hmif_tiny.write_tower(folder))
    tweets = rpi_hmif_tiny.examples(rows=((1, 3, 3), (1, 1, 0), (1, 3, 3)))

    def image_noise(batch: Batch) -> Batch:
        pairs = zip(batch["pictures"].images, batch["pictures"].present, strict=True)
        return rpi_hmif_tiny.with_pictures(batch, [other_pixels(*pair) for pair in pairs])

    return System(model, tweets, of_pieces, image_noise)


def of_pieces(batch: Batch) -> Batch:
    """Return the batch of a model over word pieces with other pieces on padding."""
    return {**batch, "input_ids": other_ids(batch["input_ids"], batch["mask"])}


BUILDERS = {f.__name__: f for f in (acn, ita, vec_mner, co_mipn, rpi_hmif)}


@pytest.fixture(scope="module", params=BUILDERS)
def system(request, tiny_encoder, tmp_path_factory) -> System:
    return BUILDERS[request.param](tiny_encoder("bert"), tmp_path_factory.mktemp(request.param))


def change(before: list[Tensor], after: list[Tensor]) -> list[float]:
    """Return the largest change of each sentence's emissions."""
    return [(a - b).abs().max().item() for a, b in zip(before, after, strict=True)]


def test_padding_changes_nothing(system):
    """Neither the other sentences of the batch nor what stands on padding."""
    batch = system.model.collate(system.tweets)
    together = system.emissions(batch)
    alone = [system.emissions(system.model.collate([tweet]))[0] for tweet in system.tweets]
    assert len({len(row) for row in alone}) > 1
    assert max(change(together, alone)) < 1e-10
    noisy = system.text_noise(batch)
    assert max(change(together, system.emissions(noisy))) < 1e-10
    assert system.model(noisy).loss.item() == pytest.approx(system.model(batch).loss.item())


def test_the_order_of_a_batch_is_that_of_its_output(system):
    batch, turned = (
        system.model.collate(tweets) for tweets in (system.tweets, system.tweets[::-1])
    )
    assert max(change(system.emissions(batch), system.emissions(turned)[::-1])) < 1e-10
    assert system.model(batch).loss.item() == pytest.approx(system.model(turned).loss.item())
    tags = [system.model.decode(b, system.model.views[0]) for b in (batch, turned)]
    assert tags[0] == tags[1][::-1]


def test_swapped_images_change_their_own_sentences(system):
    first, second, third = system.tweets
    swapped = [
        Example(first.sample, third.items),
        second,
        Example(third.sample, first.items),
    ]
    before, after = (system.emissions(system.model.collate(t)) for t in (system.tweets, swapped))
    moved = change(before, after)
    assert min(moved[0], moved[2]) > 1e-6 and moved[1] < 1e-12


def test_what_stands_at_missing_images_changes_nothing(system):
    batch = system.model.collate(system.tweets)
    torch.manual_seed(0)
    other = system.image_noise(batch)
    assert max(change(system.emissions(batch), system.emissions(other))) < 1e-10
    assert system.model(other).loss.item() == pytest.approx(system.model(batch).loss.item())


def test_evaluation_is_deterministic(system):
    batch, again = system.model.collate(system.tweets), system.model.collate(system.tweets)
    for a, b in zip(system.emissions(batch), system.emissions(again), strict=True):
        assert torch.equal(a, b)
    for view in system.model.views:
        assert system.model.decode(batch, view) == system.model.decode(again, view)
