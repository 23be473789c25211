"""Text encoders and image towers from files in the form in which hubs publish them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from extract.core.errors import DataError, MissingFileError
from tests.builders.hub import forms
from tests.builders.hub.families import Published, lay_once
from train.blocks.text_encoder import TextEncoder
from train.blocks.vision_tower import load_vision_tower
from train.data.pieces import PieceTable

# Family -> what stands before the network's names in its file.
TEXT = {
    "bert": "bert.",
    "bertweet": "roberta.",
    "deberta": "deberta.",
    "distilbert": "distilbert.",
    "electra": "electra.",
    "minilm": "",
    "roberta": "roberta.",
    "xlm_roberta": "roberta.",
}
TOWERS = {"clip": "vision_model.", "dino": ""}
TWEET = ["RT", "@Kevin", ":", "the", "stadium", "in", "London", "#NBA", "http://t.co/abc", "don't"]
# What published files name otherwise than transformers 5 does.
RENAMED = {
    "encoder.layer.": "layers.",
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Factory: family -> (folder, tensors by the network's own names in old files)."""
    laid, prefixes = lay_once(tmp_path_factory), TEXT | TOWERS

    def make(family: str) -> tuple[Path, dict[str, torch.Tensor]]:
        folder, tensors = laid(family)
        prefix = prefixes[family]
        return folder, {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }

    return make


def assert_holds(model: torch.nn.Module, tensors: dict[str, torch.Tensor], atol: float = 0) -> None:
    """Assert that each tensor of a network is the file's, in float32."""
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32, name
        torch.testing.assert_close(tensor, tensors[name], atol=atol, rtol=0, msg=name)


def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a vision transformer by the names that transformers 5 gives them."""
    found = {}
    for name, tensor in tensors.items():
        for old, new in RENAMED.items():
            name = name.replace(old, new)
        found[name] = tensor
    return found


@pytest.mark.parametrize("family", TEXT)
def test_a_text_encoder_is_that_of_the_file(published: Published, family: str) -> None:
    folder, tensors = published(family)
    encoder = TextEncoder(folder, pretrained=True)
    assert len(encoder.model.state_dict()) > 20
    assert_holds(encoder.model, tensors)
    states = encoder.eval()(**encoder.tokenize([TWEET, ["the", "dog"]]))
    assert states.shape == (2, len(TWEET), 32) and states.isfinite().all()
    # Different words have different states: they are not all the unknown piece.
    assert (states[0, 3] - states[0, 4]).abs().max() > 0.1


@pytest.mark.parametrize("family", TOWERS)
def test_a_tower_is_that_of_the_file(published: Published, family: str) -> None:
    folder, tensors = published(family)
    tower = load_vision_tower(folder, pretrained=True)
    assert_holds(tower, renamed(tensors) if family == "dino" else tensors)


@pytest.mark.parametrize("family", TEXT)
def test_words_read_the_same_after_the_assets_were_saved(
    published: Published, tmp_path: Path, family: str
) -> None:
    first = TextEncoder(published(family)[0], pretrained=False)
    first.save_assets(tmp_path / "once")
    second = TextEncoder(tmp_path / "once", pretrained=False)
    second.save_assets(tmp_path / "twice")
    third = TextEncoder(tmp_path / "twice", pretrained=False)
    for again in (second, third):
        assert again.pieces(TWEET) == first.pieces(TWEET)
        assert again.specials == first.specials
    unknown = (first.specials["unknown"],)
    assert [word for word in TWEET if first.pieces([word]) == [unknown]] == []
    assert len(set(first.pieces(TWEET))) == len(TWEET)
    assert PieceTable(tmp_path / "once").pieces(TWEET) == first.pieces(TWEET)


def test_bertweet_reads_names_and_addresses_as_it_learned_them(published: Published) -> None:
    encoder = TextEncoder(published("bertweet")[0], pretrained=False)
    name, address = encoder.pieces(["@somebody", "https://t.co/xyz"])
    assert encoder.tokenizer.convert_ids_to_tokens(name) == ["@USER"]
    assert encoder.tokenizer.convert_ids_to_tokens(address) == ["HTTPURL"]
    assert encoder.pieces(["</s>", "<mask>"]) != [(2,), (encoder.tokenizer.mask_token_id,)]
    assert encoder.max_subwords == 128


def two_weights_are_one(folder: Path) -> Path:
    """Keep `model.safetensors` where both kinds are published, the torch file elsewhere."""
    if (folder / "model.safetensors").is_file():
        (folder / "pytorch_model.bin").unlink(missing_ok=True)
    return folder


@pytest.mark.parametrize("family", ["bert", "xlm_roberta", "deberta", "clip", "dino"])
@pytest.mark.parametrize("form", forms.FORMS, ids=lambda form: form.__name__)
def test_every_form_of_the_weights_is_read(
    published: Published, tmp_path: Path, family: str, form: Callable[[Path], Path]
) -> None:
    source, tensors = published(family)
    folder = form(two_weights_are_one(shutil.copytree(source, tmp_path / family)))
    if family in TEXT:
        network = TextEncoder(folder, pretrained=True).model
    else:
        network = load_vision_tower(folder, pretrained=True)
    is_half = form is forms.as_half_precision
    assert_holds(network, renamed(tensors) if family == "dino" else tensors, 2e-3 if is_half else 0)


def test_half_precision_is_really_on_the_disk(published: Published, tmp_path: Path) -> None:
    folder = shutil.copytree(published("minilm")[0], tmp_path / "half")
    found = forms.read(forms.as_half_precision(folder))
    floats = {tensor.dtype for tensor in found.values() if tensor.is_floating_point()}
    assert floats == {torch.float16}


def with_tensors(folder: Path, change: Callable[[dict], dict]) -> Path:
    forms.write_safetensors(folder, change(forms.read(folder)))
    return folder


ZERO = torch.zeros(3)


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("bert", {"bert.encoder.layer.3.output.dense.bias": ZERO}, "unexpected bert.encoder.la"),
        ("bert", {"bert.adapter.down.weight": ZERO}, "unexpected bert.adapter.down.weight"),
        ("bert", {"bert.embeddings.extra.weight": ZERO}, "unexpected bert.embeddings.extra"),
        ("bert", {"bert.embeddings.LayerNorm.beta": None}, "missing embeddings.LayerNorm.bias"),
        ("bert", {"bert.embeddings.LayerNorm.beta": ZERO}, "other shape: .*LayerNorm.bias"),
        ("minilm", {"encoder.layer.2.output.dense.bias": ZERO}, "unexpected encoder.layer.2"),
        ("minilm", {"adapter.down.weight": ZERO}, "unexpected adapter.down.weight"),
        ("roberta", {"roberta.encoder.layer.1.output.dense.bias": None}, "missing encoder.layer.1"),
        ("clip", {"vision_model.encoder.layers.3.mlp.fc1.bias": ZERO}, "unexpected encoder.layer"),
        ("clip", {"vision_model.extra.weight": ZERO}, "unexpected extra.weight"),
        ("clip", {"vision_model.post_layernorm.bias": None}, "missing post_layernorm.bias"),
        ("dino", {"encoder.layer.2.output.dense.bias": ZERO}, "unexpected layers.2.mlp.fc2.bias"),
        ("dino", {"extra.weight": ZERO}, "unexpected extra.weight"),
    ],
)
def test_what_belongs_to_the_network_is_accounted_for(
    published: Published, tmp_path: Path, family: str, change: dict, message: str
) -> None:
    folder = two_weights_are_one(shutil.copytree(published(family)[0], tmp_path / family))
    with_tensors(
        folder, lambda tensors: {k: t for k, t in (tensors | change).items() if t is not None}
    )
    with pytest.raises(DataError, match=message):
        if family in TEXT:
            TextEncoder(folder, pretrained=True)
        else:
            load_vision_tower(folder, pretrained=True)


@pytest.mark.parametrize("family", ["bert", "electra", "xlm_roberta", "clip"])
@pytest.mark.parametrize(
    "more", ["classifier.weight", "qa_outputs.bias", "new_head.deep.weight", "scale"]
)
def test_any_head_may_stand_beside_a_prefixed_network(
    published: Published, tmp_path: Path, family: str, more: str
) -> None:
    source, tensors = published(family)
    folder = two_weights_are_one(shutil.copytree(source, tmp_path / family))
    with_tensors(folder, lambda found: {**found, more: ZERO})
    if family in TEXT:
        assert_holds(TextEncoder(folder, pretrained=True).model, tensors)
    else:
        assert_holds(load_vision_tower(folder, pretrained=True), tensors)


@pytest.mark.parametrize(("config", "weights"), [("bert", "roberta"), ("roberta", "electra")])
def test_the_weights_of_another_family_are_refused(
    published: Published, tmp_path: Path, config: str, weights: str
) -> None:
    folder = shutil.copytree(published(config)[0], tmp_path / "mixed")
    forms.read(folder)
    other = shutil.copytree(published(weights)[0], tmp_path / "other")
    forms.write_safetensors(folder, forms.read(other))
    with pytest.raises(DataError, match="missing embeddings"):
        TextEncoder(folder, pretrained=True)


def test_a_folder_with_weights_for_other_libraries_alone_is_named(
    published: Published, tmp_path: Path
) -> None:
    folder = shutil.copytree(published("dino")[0], tmp_path / "dino")
    (folder / "pytorch_model.bin").rename(folder / "tf_model.h5")
    with pytest.raises(
        MissingFileError, match=r"expected model\.safetensors or pytorch_model\.bin.*tf_model\.h5"
    ):
        load_vision_tower(folder, pretrained=True)


@pytest.mark.parametrize("form", [forms.as_bin_parts, forms.as_safetensors_parts])
def test_a_missing_part_is_named(
    published: Published, tmp_path: Path, form: Callable[[Path], Path]
) -> None:
    folder = form(shutil.copytree(published("dino")[0], tmp_path / "dino"))
    (part,) = folder.glob("*-00002-of-00002.*")
    part.unlink()
    with pytest.raises(MissingFileError, match=f"{part.name}: no such file, but .*index.json"):
        load_vision_tower(folder, pretrained=True)


@pytest.mark.parametrize(
    "form", [forms.as_safetensors, forms.as_bin, forms.as_legacy_bin, forms.as_bin_parts]
)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_download_that_was_cut_off_is_named(
    published: Published, tmp_path: Path, form: Callable[[Path], Path], share: float
) -> None:
    folder = form(shutil.copytree(published("dino")[0], tmp_path / "dino"))
    file = next(f for f in sorted(folder.iterdir()) if f.suffix in (".safetensors", ".bin"))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError) as caught:
        load_vision_tower(folder, pretrained=True)
    message = str(caught.value)
    assert str(folder) in message and "again" in message
    assert "weights_only" not in message and "trust" not in message


def test_the_config_decides_what_is_loaded(published: Published, tmp_path: Path) -> None:
    folder = shutil.copytree(published("bert")[0], tmp_path / "bert")
    config = json.loads((folder / "config.json").read_bytes())
    forms.write_json(folder / "config.json", {**config, "num_hidden_layers": 2})
    with pytest.raises(DataError, match=r"unexpected bert\.encoder\.layer\.2"):
        TextEncoder(folder, pretrained=True)
