"""The schema, default.yaml and the code agree; a wrong key or value gives one line."""

import copy
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.resources import Resource
from snakemake.utils import validate

from extract.core.errors import ConfigError
from extract.corpora.readers.base import TextSettings
from extract.features.engine import Runtime
from extract.images.limits import ImageLimits
from workflow.plan.catalogue import Catalogue, check_config
from workflow.plan.resources import decoding_memory, times

CATALOGUES = (
    "datasets", "weights", "phrases", "feature_sets", "imports", "exports", "models", "ablations",
)  # fmt: skip


@pytest.fixture(scope="module")
def schema_path(repo_root: Path) -> Path:
    return repo_root / "workflow/schemas/config.schema.yaml"


@pytest.fixture(scope="module")
def schema(schema_path: Path) -> dict:
    return yaml.safe_load(schema_path.read_text(encoding="utf-8"))


@pytest.fixture
def default(repo_root: Path) -> dict:
    text = (repo_root / "workflow/config/default.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def keys_of(schema: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (place, subschema) of every key that the schema names."""
    for key, below in schema.get("properties", {}).items():
        yield f"{place}{key}", below
        yield from keys_of(below, f"{place}{key}.")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from keys_of(schema["additionalProperties"], f"{place}*.")


def at(config: dict, place: str) -> dict:
    """Return the mapping at a dotted place."""
    for key in filter(None, place.split(".")):
        config = config[key]
    return config


def test_default_validates_with_and_without_filled_defaults(default, schema, schema_path):
    check_config(default, schema)
    validate(default, str(schema_path))
    check_config(default, schema)
    assert "gold_boxes" in Catalogue(default).grounders


def test_the_schema_is_a_legal_schema(schema):
    Draft202012Validator.check_schema(schema)


def test_every_key_is_described_and_has_a_default_or_is_needed(schema):
    undescribed = [place for place, below in keys_of(schema) if "description" not in below]
    assert undescribed == []
    # Which of these an entry of `weights` has is its kind.
    free = {f"weights.*.{key}" for key in ("path", "sha256", "revision", "fetch", "package")}
    free |= {f"weights.*.{key}" for key in ("subdir", "trained", "random", "cut")}
    # A switch has what differs from its model, whose variant a default would change.
    free |= {"ablations.*.switches.*.variant"}
    needed = {
        *(f"run.{key}" for key in ("datasets", "feature_sets", "models", "seeds")),
        *("run", *CATALOGUES),
        *("datasets.*.reader", "datasets.*.root", "models.*.system"),
        *("phrases.*.extractor", "feature_sets.*.extractor"),
        *("imports.*.kind", "imports.*.sources", "exports.*.layout"),
        *("ablations.*.model", "ablations.*.switches"),
        *(f"weights.*.trained.{key}" for key in ("seed", "images")),
        *(f"weights.*.random.{key}" for key in ("config", "seed")),
        *(f"weights.*.cut.{key}" for key in ("of", "layers")),
    }
    bare = {place for place, below in keys_of(schema) if "default" not in below}
    assert bare <= needed | free


def test_default_states_the_defaults_of_the_schema(default, schema):
    stated = {}
    for place, below in keys_of(schema):
        head, _, key = place.rpartition(".")
        if "*" not in place and head not in CATALOGUES and "properties" not in below:
            stated[place] = (at(default, head).get(key), below.get("default"))
    scalars = {place: pair for place, pair in stated.items() if not place.startswith("run.")}
    scalars = {place: pair for place, pair in scalars.items() if place not in CATALOGUES}
    assert scalars.keys() == {
        "device",
        "shards",
        "cluster_cores",
        "crops.min_size_px",
        *(f"image_limits.{field.name}" for field in dataclasses.fields(ImageLimits)),
        "sheets.images",
        "sheets.seed",
        "sample.seed",
        "sample.tweets",
        *(f"predict_{key}" for key in ("run", "text", "images", "captions", "annotations")),
        "predict_max_bad_images",
    }
    for place, (written, from_schema) in scalars.items():
        assert written == from_schema, place


def test_filled_text_settings_are_those_of_the_reader(schema):
    text = schema["properties"]["datasets"]["additionalProperties"]["properties"]["text"]
    from_schema = {key: below["default"] for key, below in text["properties"].items()}
    from_code = dataclasses.asdict(TextSettings())
    from_code["entity_types"] = list(from_code["entity_types"])
    assert from_schema == from_code


def test_filled_image_limits_are_those_of_the_code(schema):
    limits = schema["properties"]["image_limits"]["properties"]
    assert {key: below["default"] for key, below in limits.items()} == dataclasses.asdict(
        ImageLimits()
    )


def test_filled_runtime_is_that_of_the_runner(schema):
    sets = schema["properties"]["feature_sets"]["additionalProperties"]["properties"]
    batch_size = sets["runtime"]["properties"]["batch_size"]["default"]
    assert batch_size == Runtime().batch_size


def test_variants_are_those_of_training(schema):
    from train.data.variants import legal_variants

    entry = schema["properties"]["models"]["additionalProperties"]["properties"]
    tables = schema["properties"]["ablations"]["additionalProperties"]["properties"]
    switch = tables["switches"]["additionalProperties"]["properties"]["variant"]
    assert switch["pattern"] == entry["variant"]["pattern"]
    legal = legal_variants(["captions", "detector_crops"])
    assert all(re.search(entry["variant"]["pattern"], variant) for variant in legal)
    controls = entry["controls"]["items"]["pattern"]
    assert [variant for variant in legal if not re.search(controls, variant)] == ["main"]


@pytest.mark.parametrize(
    ("place", "typo", "meant"),
    [
        ("", "shard", "shards"),
        ("", "feature_set", "feature_sets"),
        ("run", "seed", "seeds"),
        ("crops", "min_size", "min_size_px"),
        ("image_limits", "max_pixel", "max_pixels"),
        ("sample", "tweet", "tweets"),
        ("datasets.sample", "image", "images"),
        ("datasets.sample.text", "label", "labels"),
        ("weights.minilm", "sub_dir", "subdir"),
        ("weights.sample_vision.trained", "image", "images"),
        ("weights.tiny_clip.random", "confg", "config"),
        ("phrases.textblob", "option", "options"),
        ("feature_sets.gold_boxes", "phrase", "phrases"),
        ("feature_sets.vgg16_sample.runtime", "batchsize", "batch_size"),
        ("models.text_crf", "recipes", "recipe"),
        ("models.acn", "control", "controls"),
        ("ablations.ita_context", "switch", "switches"),
        ("ablations.ita_context.switches.with_cva", "option", "options"),
    ],
)
def test_unknown_key_at_every_level_gives_the_nearest(default, schema, place, typo, meant):
    changed = copy.deepcopy(default)
    at(changed, place)[typo] = 1
    with pytest.raises(ConfigError) as caught:
        check_config(changed, schema)
    where = ".".join(filter(None, ["config", place]))
    assert str(caught.value).startswith(
        f"{where}: unknown key '{typo}'. Did you mean '{meant}'? Known: "
    )


@pytest.mark.parametrize(
    ("place", "key", "value", "said"),
    [
        ("", "shards", 0, "config.shards: 0 is less than the minimum of 1."),
        ("", "device", "gpu", "config.device: 'gpu' is not one of ['auto', 'cpu', 'cuda']."),
        ("run", "seeds", [1, 1], "config.run.seeds: [1, 1] has non-unique elements."),
        ("run", "models", None, "config.run.models: None is not of type 'array'."),
        (
            "datasets.sample",
            "max_bad_images",
            5,
            "config.datasets.sample.max_bad_images: 5 is greater than the maximum of 1.",
        ),
        (
            "models.text_crf",
            "variant",
            "blanc",
            "config.models.text_crf.variant: 'blanc' does not match '^(main|shuffled|blank|with",
        ),
        ("models.acn", "controls", ["main"], "config.models.acn.controls.0: 'main' does not match"),
        ("models.acn", "seeds", {"sample": []}, "config.models.acn.seeds.sample: [] should be"),
        ("models.acn", "control_seeds", 1, "config.models.acn.control_seeds: 1 is not of type"),
        ("weights.minilm", "sha256", "397923af", "config.weights.minilm.sha256: '397923af'"),
    ],
)
def test_wrong_value_gives_its_place(default, schema, place, key, value, said):
    at(default, place)[key] = value
    with pytest.raises(ConfigError) as caught:
        check_config(default, schema)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["models.text_crf", "feature_sets.vgg16_sample"])
@pytest.mark.parametrize(
    ("key", "legal", "wrong", "said"),
    [
        ("mem", ["8GB", "8G", "8 GB", "1.5GB", "512mb", "1.5 TiB"], ["8", "8 Gx", "GB", ""],
         "is not written like '8GB' or '1.5 GiB' or '500M'. Memory of a job"),
        ("time", ["12h", "30min", "30m", "2 days", "1.5h", 90], ["90s", "h", "1:30:00", ""],
         "is not written like '12h' or '30min' or 90. Longest time of a"),
    ],
)  # fmt: skip
def test_memory_and_time_are_written_as_snakemake_reads_them(
    default, schema, place, key, legal, wrong, said
):
    # Aliases of YAML are one object; this entry alone is to change.
    runtime = at(default, place)["runtime"] = dict(at(default, place).get("runtime", {}))
    for value in legal:
        runtime[key] = value
        check_config(default, schema)
        read = Resource.parse_human_friendly({"mem": "mem", "time": "runtime"}[key], value)
        assert isinstance(read, int) and read > 1
    for value in wrong:
        runtime[key] = value
        with pytest.raises(
            ConfigError, match=re.escape(f"{place}.runtime.{key}: {value!r} {said}")
        ):
            check_config(default, schema)


@pytest.mark.parametrize(
    ("amount", "factor", "product"),
    [("8GB", 1, "8GB"), ("8 GB", 3, "24GB"), ("1.5GiB", 2, "3.0GiB"), ("0.1T", 3, "0.3T")],
)
def test_memory_times_the_attempt(amount, factor, product):
    assert times(amount, factor) == product


def test_memory_to_read_a_corpus_is_that_of_its_decoders():
    limits = {"max_memory_mb": 512}
    assert decoding_memory(limits, 4, 1) == "4048MiB"
    assert decoding_memory(limits, 4, 2) == "6048MiB"


def test_missing_key_gives_its_place(default, schema):
    del default["datasets"]["sample"]["reader"]
    with pytest.raises(ConfigError, match=r"config\.datasets\.sample: 'reader' is a required"):
        check_config(default, schema)


@pytest.mark.parametrize("name", ["Sample", "my-corpus", "a/b", ""])
def test_names_are_file_names(default, schema, name):
    default["datasets"][name] = default["datasets"]["sample"]
    with pytest.raises(ConfigError, match=r"config\.datasets: "):
        check_config(default, schema)
