"""Helpers of all rules: config checks, offline environment, paths, the last word on errors."""

import atexit
import json
import os
import shlex
import sys
from pathlib import Path

import psutil
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

sys.path.insert(0, workflow.basedir)

from extract.corpora.audit.overlap_file import VERSION as OVERLAP_VERSION
from extract.corpora.readers.base import VERSION as READERS_VERSION
from extract.crops.plan import VERSION as CROPS_VERSION
from extract.core.errors import MnerError
from extract.interop.layouts.base import VERSION as EXPORT_VERSION
from extract.core.offline import OFFLINE
from extract.core.registry import load_module
from extract.corpora.repairs.format import repairs_file
from extract.core.digests import canonical
from extract.features.spec import load_plugin
from extract.networks.weights import resolve_weights
from workflow.plan.ablations import ablation_runs
from workflow.plan.catalogue import (
    Catalogue,
    check_config,
    existing,
    file_options,
    folder_state,
    source_version,
)
from workflow.plan.config_files import check_config_files
from workflow.plan.file_sums import file_sums
from workflow.plan.prediction import read_prediction
from workflow.plan.resources import decoding_memory, times

SCHEMA = Path(workflow.basedir) / "workflow/schemas/config.schema.yaml"
LAST_WORDS = {}


def stop(error):
    """Return what stops Snakemake; the message alone is also the last thing on the screen."""
    if not LAST_WORDS:
        LAST_WORDS["error"] = str(error)
        atexit.register(show_last_words)
    return WorkflowError(str(error))


def show_last_words():
    """Print the message that `stop` keeps, unless a run began after all."""
    sys.stderr.writelines(f"\nerror: {message}\n" for message in LAST_WORDS.values())


try:
    check_config_files(workflow.overwrite_configfiles)
    check_config(config, yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
    validate(config, str(SCHEMA))
    CATALOGUE = Catalogue(config)
    config["models"] = CATALOGUE.config["models"]  # with the runs of ablation tables
    PREDICTION = read_prediction(CATALOGUE)
except MnerError as error:
    raise stop(error) from None

if PREDICTION:
    config["datasets"][PREDICTION.tweets] = PREDICTION.tweets_entry

RUN = config["run"]
SPLITS = ("train", "valid", "test")
ERRORS = Path(".snakemake/mner_errors.txt").absolute()

# Commands find the packages from any environment, stay offline, and say their errors last.
ENVIRONMENT = {
    **OFFLINE,
    # Not the user's: figures do not depend on a matplotlibrc, and no cache is left in home.
    "MPLCONFIGDIR": str(Path(".snakemake/matplotlib").absolute()),
    "MNER_ERROR_FILE": str(ERRORS),
    "PYTHONPATH": os.pathsep.join(filter(None, [workflow.basedir, os.environ.get("PYTHONPATH")])),
}
if not workflow.deployment_settings.deployment_method:
    # Plain `snakemake` works without activating its environment.
    search = [os.path.dirname(sys.executable), os.environ.get("PATH", "")]
    ENVIRONMENT["PATH"] = os.pathsep.join(search)
exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in ENVIRONMENT.items())
shell.prefix(f"set -euo pipefail; export {exports}; ".replace("{", "{{").replace("}", "}}"))


if workflow.local_exec and not workflow.remote_exec:
    if "mem_mb" not in workflow.global_resources:
        # Jobs on one machine start while there is room for the memory that they ask for.
        workflow.register_resource("mem_mb", psutil.virtual_memory().total // 10**6)


scattergather:
    images=config["shards"],


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    phrases="|".join(config["phrases"]),
    grounder="|".join(CATALOGUE.grounders) or "none",
    feature_set="|".join([*config["feature_sets"], *config["imports"]]),
    export="|".join(config["exports"]) or "none",
    run="|".join(config["models"]),
    split="|".join(SPLITS),
    seed=r"\d+",


def dataset_entry(wildcards):
    return config["datasets"][wildcards.dataset]


def checked(path, remedy):
    """Return an input path, or stop with what is missing and how to get it."""
    try:
        return existing(path, remedy)
    except MnerError as error:
        raise stop(error) from None


def flag(name, value):
    """Return `--name 'value'` (or several values), or nothing when there is none."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return f"--{name} " + " ".join(shlex.quote(str(v)) for v in values) if value else ""


def runtime(kind, name, key):
    """A knob that decides no value."""
    return config[kind][name]["runtime"][key]


def start_errors():
    """Forget the errors of an earlier run, and those that did not stop this one."""
    LAST_WORDS.clear()
    ERRORS.unlink(missing_ok=True)


def show_errors():
    """Make the commands' own messages the last thing on the screen, after Snakemake's."""
    if ERRORS.exists():
        atexit.register(sys.stderr.writelines, ["\n", ERRORS.read_text(encoding="utf-8")])


def gpu_resources(wildcards):
    """One GPU a job where the config says cuda; Snakemake's --resources gpu=N limits them."""
    return 1 if config["device"] == "cuda" else 0


def extraction_gpu(wildcards):
    """As gpu_resources, for the extractors that compute with weights."""
    extractor = config["feature_sets"][wildcards.feature_set]["extractor"]
    return gpu_resources(wildcards) if load_plugin(extractor)[1].Extractor.roles else 0


def extraction_threads(wildcards):
    """One core a shard; a shard on the GPU takes all, to keep it fed with decoded images."""
    return all_cores(wildcards) if extraction_gpu(wildcards) else 1


def all_cores(wildcards):
    """All of --cores on one machine; on a cluster, which has no --cores, `cluster_cores`."""
    is_here = workflow.local_exec and not workflow.remote_exec
    return workflow.cores if is_here else config["cluster_cores"]


def memory(kind, name, attempt):
    """Memory of a job; as much again after each failure, which may have been for want of it."""
    return times(runtime(kind, name, "mem"), attempt)


def training_memory(wildcards, attempt):
    return memory("models", wildcards.run, attempt)


def processes(wildcards):
    """How many train together; unlike a runtime knob it decides the weights."""
    return config["models"][wildcards.run]["processes"]


def training_command(wildcards):
    """What starts the processes of a training, on one node."""
    if processes(wildcards) == 1:
        return "python"
    settings = shlex.quote(str(Path(workflow.basedir) / "workflow/accelerate.yaml"))
    return f"accelerate launch --config_file {settings} --num_processes {processes(wildcards)}"
