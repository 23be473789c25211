"""Training: epochs, selection on valid, resume. It can open train.jsonl and valid.jsonl, no more.

Every random draw is decided by (seed, epoch), so a run that was killed and resumed ends with the
same bytes as one that was not (on the CPU, with the same number of threads).
"""

import json
import logging
import shutil
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from extract.core import provenance
from extract.core.digests import digest, file_sha256
from extract.core.errors import ConfigError, DataError, near_match
from extract.core.files import atomic_path, only_process
from extract.core.launch import is_first_process
from extract.core.logs import Progress as ProgressLine
from extract.core.options import options_from
from extract.core.registry import load_module
from extract.core.system import named_system_errors
from train.data.examples import FeatureSource, entity_types, read_training, without_tags
from train.measures.inference import iter_batches, predict_tags
from train.measures.metrics import micro_counts
from train.systems.base import TaggingModel, count_parameters
from train.training.accelerator import create_accelerator, seed_all, used_resources
from train.training.held_out import training_guard
from train.training.history import LossSums, selection_score, write_history
from train.training.initial_run import ROLE, check_initial_run, initial_sha256
from train.training.optim import (
    build_optimizer,
    current_rates,
    freeze,
    rate_factor,
    set_rates,
    weight_average,
)
from train.training.resume import Progress, StateFolder, link_or_copy, read_finished, write_finished
from train.training.run_folder import checkpoint
from train.training.run_folder.kept_epochs import KeptEpochs
from train.training.run_folder.names import HISTORY
from train.training.run_spec import RunSpec, check_roles, check_weights_roles, with_precision
from train.training.sampling import Part, train_batches, update_parts

logger = logging.getLogger(__name__)

VERSION = 1
"""Raise it when the loop gives other weights from the same spec."""

EPOCH_0 = 0  # key of the seed for initial weights; the epochs count from 1


@dataclass(frozen=True)
class FitJob:
    """What one `fit` is asked to do."""

    spec: RunSpec
    samples_dir: Path
    """Folder with train.jsonl and valid.jsonl."""
    out: Path
    seed: int
    dataset: str = ""
    """Dataset id, for tables; decides nothing."""
    stores: dict[str, Path] = field(default_factory=dict)
    """Role -> feature store."""
    weights: dict[str, Path] = field(default_factory=dict)
    """Role -> checkpoint folder of each pretrained network."""
    init_from: Path | None = None
    """Run folder whose weights and statistics training starts from."""
    device: str = "auto"
    workers: int = 0
    """Processes that read features ahead."""
    checkpoint_every: int = 1
    """Epochs between full states; more means less writing and more to redo after a kill."""
    keep_epochs: bool = False
    """Keep the weights of every epoch, for `diagnose`; decides nothing."""


def fit(job: FitJob) -> dict[str, Any]:
    """Train one system with one seed and write its run folder.

    Returns:
        What the last log line says: best epoch, valid F1 by view, epochs, seconds.

    Raises:
        MnerError: a wrong spec, missing or unfitting inputs, or a loss that is not finite.
        BusyError: another process trains into the same folder.
        HeldOutError: a system tried to open the test split.
    """
    # Of several processes the first writes, and holds the lock.
    lock = only_process(job.out) if is_first_process() else nullcontext()
    with training_guard(job.samples_dir), lock:
        return _fit(replace(job, spec=with_precision(job.spec, job.device)))


def _fit(job: FitJob) -> dict[str, Any]:
    started = time.monotonic()
    module = load_module("train.systems", job.spec.system)
    options = options_from(module.Options, job.spec.options, f"{job.spec.run}.options")
    check_roles(job.spec.system, module.Model.required_features(options), job.stores)
    check_weights_roles(job.spec.system, module.Model.roles_for(options), job.weights)
    _check_view(job.spec, module.Model)
    with FeatureSource(job.stores, job.spec.variant) as source:
        trainer = Trainer(job, module.Model, options, source)
        if trainer.finished:
            logger.info("%s is trained already; to train anew, delete it", job.out)
            return trainer.finished
        trainer.run()
        return trainer.finish(started)


class Trainer:
    """One training from its first to its last epoch.

    Args:
        job: what to do.
        model_class: the system.
        options: its checked options.
        source: open stores of the roles that it needs.
    """

    def __init__(
        self, job: FitJob, model_class: type[TaggingModel], options: Any, source: FeatureSource
    ) -> None:
        self.job, self.recipe = job, job.spec.recipe
        self.options, self.source = options, source
        self.accelerator = create_accelerator(job.device, self.recipe.precision)
        train, valid = read_training(job.samples_dir, self.recipe.gold)
        self.entity_types = entity_types(train)
        if not self.entity_types:
            raise DataError(f"{job.samples_dir / 'train.jsonl'}: no entity in the training split.")
        self.valid_gold = [sample.tags for sample in valid]
        self.train_set, self.valid_set = source.join(train), source.join(without_tags(valid))
        self.vocabulary = model_class.build_vocabulary(options, train, self.entity_types)
        self.identity = self._identity(model_class)
        if job.init_from:
            sums, system = self.identity["weights_sha256"], job.spec.system
            check_initial_run(job.init_from, system, options, self.vocabulary, sums)
        self.state = StateFolder(job.out / "state", digest(self.identity))
        self._refuse_other_precision()
        self.epoch_weights = KeptEpochs(job.out)
        self.finished = self._find_finished()
        self.progress = self._start()
        self.resumed_from = self.progress.epoch
        self.model, self.optimizer = self._prepare(model_class)
        self.epoch_seconds: list[float] = []

    @property
    def bare_model(self) -> TaggingModel:
        """The model without accelerate's wrapper for several processes."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def kept_model(self) -> TaggingModel:
        """What is validated and kept: the average of the weights where the recipe asks for it."""
        return self.average.module if self.average else self.bare_model

    def _find_finished(self) -> dict[str, Any] | None:
        """Return the summary of this very training where the run folder holds its end."""
        found = read_finished(self.job.out, self.state.guard)
        if found and self.job.keep_epochs and self.epoch_weights.missing(found["epochs_run"]):
            return None
        return found

    def _start(self) -> Progress:
        """Return where an earlier process left this training, or the beginning."""
        if self.finished:
            return Progress()
        progress = self.state.read()
        missing = self.epoch_weights.missing(progress.epoch) if self.job.keep_epochs else []
        if missing:
            folder = self.epoch_weights.folder
            logger.warning("%s: epochs %s are not there: training starts anew", folder, missing)
            progress = Progress()
        is_stale = not self.job.keep_epochs or not progress.epoch
        if is_stale and self.accelerator.is_main_process:
            self.epoch_weights.clear()
        return progress

    def _identity(self, model_class: type[TaggingModel]) -> dict[str, Any]:
        """Return everything that decides the weights."""
        samples, weights = self.job.samples_dir, checkpoint.weights_sha256(self.job.weights)
        if self.job.init_from:
            weights[ROLE] = initial_sha256(self.job.init_from)
        return {
            "loop_version": VERSION,
            "model_version": model_class.VERSION,
            "spec": checkpoint.resolved(self.job.spec),
            "seed": self.job.seed,
            "samples_sha256": {
                split: file_sha256(samples / f"{split}.jsonl") for split in ("train", "valid")
            },
            "stores": self.source.fingerprints,
            "store_inputs": self.source.input_digests,
            "weights_sha256": weights,
            "torch": torch.__version__,
            "processes": self.accelerator.num_processes,
        }

    def _refuse_other_precision(self) -> None:
        """See that this training was not begun in another precision.

        Raises:
            ConfigError: the run folder holds it in that precision, finished or not.
        """
        out, spec = self.job.out, self.job.spec
        for other in {"fp32", "bf16"} - {self.recipe.precision}:
            recipe = replace(self.recipe, precision=other)
            of_other = {"spec": checkpoint.resolved(replace(spec, recipe=recipe))}
            guard = digest({**self.identity, **of_other})
            if self.state.is_of(guard) or read_finished(out, guard):
                raise ConfigError(
                    f"{out}: this training was begun in {other}, and {spec.run} is to be "
                    f"trained in {self.recipe.precision} (recipe.precision, or what `auto` means "
                    f"on this machine). Set recipe.precision to {other} to continue it, or delete "
                    "the folder to begin anew."
                )

    def _prepare(self, model_class: type[TaggingModel]) -> tuple[Any, Any]:
        """Return model and optimizer on the device, new or as the last whole epoch left them."""
        seed_all(self.job.seed, EPOCH_0)
        model = model_class(self.options, self.vocabulary, self.job.weights, True)
        if self.job.init_from:
            checkpoint.load_weights(model, self.job.init_from / checkpoint.WEIGHTS)
        elif not self.progress.epoch:
            model.fit_statistics(iter(self.train_set))
        freeze(model, self.recipe.frozen)
        model.to(self.accelerator.device)
        self.average = weight_average(model, self.recipe.ema)
        if self.average:
            self.accelerator.register_for_checkpointing(self.average)
        prepared = self.accelerator.prepare(model, build_optimizer(model, self.recipe))
        if self.progress.epoch:
            self.state.load(self.accelerator, self.progress)
            logger.info("resumed after epoch %d", self.progress.epoch)
        return prepared

    def run(self) -> None:
        """Train what is left of the epochs, or until patience runs out."""
        spec = self.job.spec
        logger.info(
            "fit %s: system %s, variant %s, seed %d, device %s, %s, %d train and %d valid samples",
            *(spec.run, spec.system, spec.variant, self.job.seed, self.accelerator.device),
            *(self.recipe.precision, len(self.train_set), len(self.valid_set)),
        )
        logger.info("versions %s", json.dumps(provenance.package_versions()))
        while self.progress.epoch < self.recipe.epochs and not self._is_out_of_patience():
            self._run_epoch(self.progress.epoch + 1)

    def _run_epoch(self, epoch: int) -> None:
        """Train and validate one epoch, keep what has to be kept, log one line."""
        started = time.monotonic()
        line = {"epoch": epoch, **self._train_epoch(epoch)}
        line["valid_f1"] = self._valid_f1()
        line["score"] = selection_score(line["valid_f1"], self.recipe.selection_view)
        line["is_best"] = self._is_better(line["score"])
        if self.accelerator.is_main_process and line["is_best"]:
            self.state.save_best(self.kept_model, epoch)
        if self.accelerator.is_main_process and self.job.keep_epochs:
            self.epoch_weights.save(self.kept_model, epoch)
        best = epoch if line["is_best"] else self.progress.best_epoch
        self.progress = Progress(epoch, best, [*self.progress.history, line])
        if self.accelerator.is_main_process:
            write_history(self.job.out / HISTORY, self.progress.history)
        if epoch % max(1, self.job.checkpoint_every) == 0 and epoch < self.recipe.epochs:
            self.state.save(self.accelerator, self.progress)
        self.epoch_seconds.append(round(time.monotonic() - started, 2))
        shown = ", ".join(f"{view} {f1:.2f}" for view, f1 in line["valid_f1"].items())
        logger.info(
            "epoch %d/%d: loss %.4f, valid F1 %s%s, %.1f s",
            *(epoch, self.recipe.epochs, line["loss"], shown),
            *(" (kept)" if line["is_best"] else "", self.epoch_seconds[-1]),
        )

    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        """Run all updates of one epoch; return mean loss, its parts, and the last rates."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        seed_all(self.job.seed, epoch, rank)
        rng = np.random.default_rng([self.job.seed, epoch])
        batches = train_batches(
            self.train_set.samples, self.recipe.batch_size, rng, buckets=self.recipe.length_buckets
        )
        updates = update_parts(batches, self.recipe.accumulation, rank=rank, world=world)
        mine = [part.indices for parts in updates for part in parts]
        loader = iter_batches(
            self.train_set, mine, self.bare_model.collate, self.accelerator.device, self.job.workers
        )
        self.model.train()
        sums = LossSums()
        line = ProgressLine(f"epoch {epoch}", len(mine), unit="batches")
        for index, parts in enumerate(updates):
            update = (epoch - 1) * len(updates) + index
            factor = rate_factor(update, self.recipe.epochs * len(updates), self.recipe)
            set_rates(self.optimizer, factor)
            for part in parts:
                self._backward(next(loader), part, part is parts[-1], sums)
            self._update()
            line.update(len(parts))
        means = sums.means(epoch, self.accelerator)
        return {**means, "lr": current_rates(self.optimizer)}

    def _backward(self, batch: dict[str, Any], part: Part, is_last: bool, sums: "LossSums") -> None:
        """Add one batch's gradients, averaged over the batches of its update."""
        with nullcontext() if is_last else self.accelerator.no_sync(self.model):
            output = self.model(batch)
            if output.loss is None:
                raise DataError(f"{self.job.spec.system} gave no loss on a tagged batch.")
            loss = output.loss / part.divisor if part.is_counted else output.loss * 0
            self.accelerator.backward(loss)
        sums.add(output, len(part.indices) if part.is_counted else 0)

    def _update(self) -> None:
        """Make one step with the gathered gradients."""
        if self.recipe.clip:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update_parameters(self.bare_model)

    def _valid_f1(self) -> dict[str, float]:
        """Return view -> entity F1 on valid, percent."""
        tags = predict_tags(
            self.kept_model,
            self.valid_set,
            batch_size=self.recipe.eval_batch_size,
            accelerator=self.accelerator,
            workers=self.job.workers,
        )
        return {view: micro_counts(self.valid_gold, tags[view]).f1 for view in tags}

    def _is_better(self, score: float) -> bool:
        """True when this epoch's weights replace the kept ones."""
        if self.recipe.selection == "last" or not self.progress.best_epoch:
            return True
        best = self.progress.history[self.progress.best_epoch - 1]["score"]
        return score > best or (score == best and self.recipe.ties == "last")

    def _is_out_of_patience(self) -> bool:
        """True when valid F1 has not risen for `patience` epochs; a tie is no rise."""
        patience = self.recipe.patience
        if not patience or not self.progress.history:
            return False
        scores = [line["score"] for line in self.progress.history]
        return len(scores) - 1 - scores.index(max(scores)) >= patience

    def finish(self, started: float) -> dict[str, Any]:
        """Write the run folder from the best epoch and return the summary."""
        out, best = self.job.out, self.progress.history[self.progress.best_epoch - 1]
        summary = {
            "run": self.job.spec.run,
            "seed": self.job.seed,
            "best_epoch": best["epoch"],
            "valid_f1": best["valid_f1"],
            "epochs_run": self.progress.epoch,
            "seconds": round(time.monotonic() - started, 1),
            **used_resources(self.accelerator),
        }
        if best["score"] == 0:
            logger.warning("no entity of valid was ever found: look at loss and learning rates")
        if self.accelerator.is_main_process:
            self.state.save_finished(self.progress)
            self._write_run(out, best)
            times = {"epoch_seconds": self.epoch_seconds, "resumed_from": self.resumed_from}
            write_finished(out, self.state.guard, {**summary, **times})
        self.accelerator.wait_for_everyone()
        return summary

    def _write_run(self, out: Path, best: dict[str, Any]) -> None:
        """Write assets, run.json, metrics.jsonl and, last, the weights."""
        # Weights of an earlier run must never stand beside this run's description.
        (out / checkpoint.WEIGHTS).unlink(missing_ok=True)
        assets = out / checkpoint.ASSETS
        shutil.rmtree(assets, ignore_errors=True)
        assets.mkdir(parents=True)
        with named_system_errors(assets):
            self.bare_model.save_assets(assets)
        checkpoint.write_run_info(out, self._run_info(best))
        write_history(out / HISTORY, self.progress.history)
        with atomic_path(out / checkpoint.WEIGHTS) as tmp:
            link_or_copy(self.state.best_weights(best["epoch"]), tmp)

    def _run_info(self, best: dict[str, Any]) -> checkpoint.RunInfo:
        spec = self.job.spec
        return checkpoint.RunInfo(
            run=spec.run,
            dataset=self.job.dataset,
            system=spec.system,
            variant=spec.variant,
            seed=self.job.seed,
            options=asdict(self.options),
            recipe=self.recipe,
            entity_types=self.entity_types,
            vocabulary=self.vocabulary,
            features=spec.features,
            fingerprints=self.source.fingerprints,
            samples_sha256=self.identity["samples_sha256"],
            weights_sha256=self.identity["weights_sha256"],
            n_parameters=count_parameters(self.bare_model),
            best_epoch=best["epoch"],
            selected_on="valid" if self.recipe.selection == "best_valid" else "nothing",
            epochs_run=self.progress.epoch,
            processes=self.accelerator.num_processes,
            valid_f1=best["valid_f1"],
            model_version=self.identity["model_version"],
            code=provenance.code_version(),
            packages=provenance.package_versions(),
        )


def _check_view(spec: RunSpec, model_class: type[TaggingModel]) -> None:
    view, known = spec.recipe.selection_view, ("mean", *model_class.views)
    if view not in known:
        raise ConfigError(
            f"{spec.run}.recipe.selection_view: {spec.system} has no view '{view}'; known: "
            f"{', '.join(known)}.{near_match(view, known)}"
        )
