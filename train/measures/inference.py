"""Batches on their way to a model, and predicted tags on their way back."""

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from torch.utils.data import DataLoader

from extract.core.errors import ShapeError
from train.data.batches import eval_batches
from train.data.examples import Example, ExampleDataset
from train.systems.base import TaggingModel

Tags = list[list[str]]


def iter_batches(
    dataset: ExampleDataset,
    batches: Sequence[list[int]],
    collate: Callable[[Sequence[Example]], dict[str, Any]],
    device: torch.device,
    workers: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield the collated batches on the device, in the given order.

    Args:
        dataset: of one split.
        batches: indices of the samples of each batch.
        collate: the model's.
        device: where the tensors go.
        workers: processes that read features ahead; 0 reads in this one.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        worker_init_fn=_keep_shared,
        # A generator of its own: the loader's seed draw must not move the model's dropout.
        generator=torch.Generator(),
    )
    for batch in loader:
        yield batch if device.type == "cpu" else send_to_device(batch, device)


def _keep_shared(_: int) -> None:
    """Leave what a worker process shares with its parent to the parent.

    The garbage collector writes to each object that it looks at, which makes a copy of its page.
    """
    gc.freeze()


def predict_tags(
    model: TaggingModel,
    dataset: ExampleDataset,
    *,
    batch_size: int,
    accelerator: Accelerator,
    workers: int = 0,
) -> dict[str, Tags]:
    """Return view -> BIO tags of every sample, in the dataset's order.

    Args:
        model: not wrapped for several processes.
        dataset: its samples' gold tags, if any, are not used.
        batch_size: samples in one forward pass.
        accelerator: device, autocast and processes; each tags its share and all get the whole.
        workers: see `iter_batches`.

    Raises:
        ShapeError: the model gave a sample another number of tags than it has tokens.
    """
    was_training = model.training
    model.eval()
    mine = eval_batches(dataset.samples, batch_size)
    mine = mine[accelerator.process_index :: accelerator.num_processes]
    found: list[tuple[int, dict[str, list[str]]]] = []
    # no_grad, not inference_mode: a tensor that a layer caches here is used in training later.
    with torch.no_grad(), accelerator.autocast():
        loader = iter_batches(dataset, mine, model.collate, accelerator.device, workers)
        for indices, batch in zip(mine, loader, strict=True):
            by_view = {view: model.decode(batch, view) for view in model.views}
            for row, index in enumerate(indices):
                found.append((index, {view: tags[row] for view, tags in by_view.items()}))
    model.train(was_training)
    return _in_order(gather_object(found), dataset, model.views)


def _in_order(
    found: list[tuple[int, dict[str, list[str]]]], dataset: ExampleDataset, views: Sequence[str]
) -> dict[str, Tags]:
    """Return the tags by view in sample order, after checking that each token has one."""
    by_index = dict(found)
    for index, sample in enumerate(dataset.samples):
        for view in views:
            n_tags = len(by_index[index][view])
            if n_tags != len(sample.tokens):
                raise ShapeError(
                    f"sample {sample.id}, view {view}: {len(sample.tokens)} tokens but {n_tags} "
                    "predicted tags"
                )
    return {view: [by_index[index][view] for index in range(len(dataset))] for view in views}
