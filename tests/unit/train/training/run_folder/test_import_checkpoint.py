"""Run folders from checkpoints of the authors' code: round trips by command line, and refusals."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from extract.core.errors import DataError
from extract.tables.samples import Sample, write_samples
from tests.builders.train import co_mipn_tiny, vec_mner_reference
from tests.builders.train.dummy_system import write_store
from train.__main__ import main
from train.systems.acn import model as acn
from train.systems.acn import released_checkpoint as acn_names
from train.systems.acn.options import Options
from train.systems.co_mipn import model as co_mipn
from train.systems.co_mipn import options as co_mipn_options
from train.systems.co_mipn import released_checkpoint as co_mipn_names
from train.systems.ita import model as ita
from train.systems.ita import options as ita_options
from train.systems.ita import released_checkpoint as ita_names
from train.systems.ita.options import EXTRA_STATES
from train.systems.vec_mner import model as vec_mner
from train.systems.vec_mner import options as vec_mner_options
from train.systems.vec_mner import released_checkpoint as vec_mner_names
from train.training.run_folder.checkpoint import load_run, read_run_info
from train.training.run_folder.conversion import read_state, table_path

TYPES = ["PER", "LOC", "ORG", "MISC"]
ACN = {"word_dim": 8, "filters": 3, "lstm_hidden": 4, "image_dim": 3, "regions": 2}


def acn_case(folder: Path, encoder: Path):
    options = Options.upstream(**ACN)
    samples = [Sample("a", "a.jpg", ["Ada", "in", "Paris", "\u00e9"])]
    model = acn.Model(options, acn.Model.build_vocabulary(options, samples, TYPES))
    tables = {name: model.vocabulary[name] for name in ("words", "chars")}
    return acn_names.to_released(model.state_dict()), ACN, {}, tables


def vec_mner_case(folder: Path, encoder: Path):
    weights = vec_mner_reference.write_checkpoints(folder, encoder, num_hidden_layers=2)
    changes = {"max_pieces": 12}
    options = vec_mner_options.Options.upstream(**changes)
    model = vec_mner.Model(options, {"entity_types": TYPES}, weights, pretrained=False)
    return vec_mner_names.to_released(model.state_dict()), changes, weights, {}


def co_mipn_case(folder: Path, encoder: Path):
    weights = co_mipn_tiny.write_checkpoints(folder, encoder)
    options = co_mipn_options.Options.upstream(**co_mipn_tiny.SIZES)
    model = co_mipn.Model(options, {"entity_types": TYPES}, weights, pretrained=False)
    state = co_mipn_names.to_released(model.state_dict(), options)
    return state, co_mipn_tiny.SIZES, weights, {}


def ita_case(folder: Path, encoder: Path):
    weights = {"encoder": encoder}
    model = ita.Model(
        ita_options.Options.upstream(), {"entity_types": TYPES}, weights, pretrained=False
    )
    tables = {"states": ita_names.released_dictionary(model.codec.states)}
    return ita_names.to_released(model.state_dict(), model.codec.states), {}, weights, tables


CASES = {"acn": acn_case, "co_mipn": co_mipn_case, "ita": ita_case, "vec_mner": vec_mner_case}


@pytest.fixture
def released(tiny_encoder, tmp_path: Path):
    """Factory: system -> (random released state, arguments that import it to `run`)."""

    def make(system: str):
        torch.manual_seed(1)
        state, options, weights, tables = CASES[system](tmp_path / "given", tiny_encoder("bert"))
        state = {
            # Forbidden moves of ITA stay forbidden.
            name: torch.where(tensor < -1e6, tensor, torch.randn_like(tensor))
            for name, tensor in state.items()
        }
        if system == "ita":  # nothing reads the rows of START and STOP
            state["linear.weight"][-2:] = state["linear.bias"][-2:] = 0
        torch.save(state, tmp_path / "theirs.pt")
        arguments = ["--checkpoint", tmp_path / "theirs.pt", "--out", tmp_path / "run"]
        arguments += ["--entity-types", *TYPES, "--options", json.dumps(options)]
        for role, folder in weights.items():
            arguments += ["--weights", f"{role}={folder}"]
        for name, symbols in tables.items():
            table = table_path(tmp_path / "theirs.pt", name)
            table.write_text("\n".join(symbols) + "\n", encoding="utf-8")
            arguments += ["--table", f"{name}={table}"]
        return state, ["import-checkpoint", "--system", system, *map(str, arguments)]

    return make


@pytest.mark.parametrize("system", sorted(CASES))
def test_round_trip_is_the_identity(released, system: str, tmp_path: Path, caplog):
    caplog.set_level("INFO")
    state, arguments = released(system)
    assert main(arguments) == 0
    assert json.loads(caplog.records[-1].getMessage())["n_tensors"] == len(state)
    export = ["export-checkpoint", "--run", tmp_path / "run", "--out", tmp_path / "b.pt"]
    assert main([*map(str, export)]) == 0
    back = torch.load(tmp_path / "b.pt", weights_only=True)
    assert list(back) == list(state)
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())
    for theirs in tmp_path.glob("theirs.pt.*"):
        assert (tmp_path / f"b.pt{theirs.suffix}").read_bytes() == theirs.read_bytes()


def test_it_is_an_ordinary_run(released, tmp_path: Path):
    state, arguments = released("acn")
    ids = ["a.jpg", "b.jpg"]
    write_store(tmp_path / "grid.h5", ids, fingerprint="c" * 64)
    assert main([*arguments, "--store", f"grid={tmp_path / 'grid.h5'}"]) == 0
    model, info = load_run(tmp_path / "run")
    assert model.options == Options.upstream(**ACN) and not model.training
    assert torch.equal(model.crf.transitions, state["crf.transitions"])
    assert info.fingerprints == {"grid": "c" * 64} and info.entity_types == TYPES
    assert list(info.weights_sha256) == ["checkpoint"]
    assert str(tmp_path) not in (tmp_path / "run/run.json").read_text(encoding="utf-8")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"assets", "model.safetensors", "run.json"}
    samples = [Sample("x", "b.jpg", ["Ada", "in", "Rome"], ["B-PER", "O", "B-LOC"])]
    write_samples(tmp_path / "s.jsonl", samples)
    common = ["--run", tmp_path / "run", "--samples", tmp_path / "s.jsonl", "--device", "cpu"]
    common += ["--store", f"grid={tmp_path / 'grid.h5'}", "--out", tmp_path / "out"]
    for command in ("predict", "evaluate"):
        assert main([command, *map(str, common)]) == 0
    record = json.loads((tmp_path / "out/predictions.jsonl").read_text(encoding="utf-8"))
    assert len(record["tags"]) == 3 and all(0 < p <= 1 for p in record["confidence"])


class TagDictionary:
    """Stands for the class that pickles ITA's tags."""


def test_all_that_itas_code_saves_is_read_as_well(released, tmp_path: Path):
    state, arguments = released("ita")
    place = arguments.index("--table")
    symbols = Path(arguments[place + 1].partition("=")[2]).read_text(encoding="utf-8").split()
    dictionary = TagDictionary()
    dictionary.idx2item = [name.encode() for name in symbols]
    content = {"state_dict": state, "tag_dictionary": dictionary, "use_word_dropout": 0.25}
    torch.save(content, tmp_path / "theirs.pt")
    assert main(arguments[:place] + arguments[place + 2 :]) == 0
    model, info = load_run(tmp_path / "run")
    assert info.options["word_dropout"] == 0.25 and info.options["cva"] is False
    bias = state["linear.bias"][symbols.index("S-LOC")]
    assert model.head.linear.bias[model.codec.states.index("S-LOC")] == bias


def without_contrast(state: dict) -> None:
    """Leave out what `--use_contrastive` adds to Co-MIPN."""
    for name in list(state):
        if name.startswith(("temp", "vision_proj.", "text_proj.")):
            del state[name]


def test_a_training_without_contrast_is_told_by_its_tensors(released, tmp_path: Path):
    state, arguments = released("co_mipn")
    n_tensors = len(state)
    change(tmp_path / "theirs.pt", without_contrast)
    (sentence,) = [i for i, text in enumerate(arguments) if text.startswith("sentence=")]
    arguments = arguments[: sentence - 1] + arguments[sentence + 1 :]
    assert main(arguments) == 0
    model, info = load_run(tmp_path / "run")
    assert info.options["contrastive"] == "off" and model.contrast is None
    assert n_tensors - len(torch.load(tmp_path / "theirs.pt", weights_only=True)) == 9
    assert torch.equal(model.crf.transitions, state["crf.transitions"])


@pytest.mark.parametrize("extra", [(), ("<unk>",), ("S-X",), ("<unk>", "S-X")])
def test_the_dictionary_of_ita_tells_its_extra_states(
    released, tmp_path: Path, capsys, extra: tuple
):
    """A bare state dict with its tag dictionary, of corpora with and without context words."""
    state, arguments = released("ita")
    table = Path(arguments[arguments.index("--table") + 1].partition("=")[2])
    symbols = table.read_text(encoding="utf-8").splitlines()
    gone = [name for name in EXTRA_STATES if name not in extra]
    rows = [row for row, name in enumerate(symbols) if name not in gone]
    for name in ("linear.weight", "linear.bias", "transitions"):
        state[name] = state[name][rows]
    state["transitions"] = state["transitions"][:, rows].contiguous()
    torch.save(state, tmp_path / "theirs.pt")
    table.write_text("\n".join(symbols[row] for row in rows) + "\n", encoding="utf-8")
    assert main(arguments) == 0
    model, info = load_run(tmp_path / "run")
    assert tuple(info.options["extra_states"]) == extra
    bias = state["linear.bias"][[symbols[row] for row in rows].index("S-LOC")]
    assert model.head.linear.bias[model.codec.states.index("S-LOC")] == bias
    if gone:
        (tmp_path / "run/model.safetensors").unlink()
        options = json.dumps({"extra_states": list(EXTRA_STATES)})
        arguments[arguments.index("--options") + 1] = options
        assert main(arguments) == 2
        assert f"Set the option extra_states to {list(extra)}" in capsys.readouterr().err


def test_options_may_differ_from_the_released_code(released, tmp_path: Path):
    _, arguments = released("acn")
    place = arguments.index("--options") + 1
    arguments[place] = json.dumps({**ACN, "upstream_tags": False, "dropout": 1})
    assert main(arguments) == 2
    arguments[place] = json.dumps({**ACN, "upstream_tags": False})
    assert main(arguments) == 0
    assert load_run(tmp_path / "run")[0].crf.num_tags == 9
    assert read_run_info(tmp_path / "run").options["max_tokens"] == 35


def test_an_acn_without_the_released_tags_is_not_exported(released, tmp_path: Path, capsys):
    _, arguments = released("acn")
    arguments[arguments.index("--options") + 1] = json.dumps({**ACN, "upstream_tags": False})
    assert main(arguments) == 0
    export = ["export-checkpoint", "--run", tmp_path / "run", "--out", tmp_path / "b.pt"]
    assert main([*map(str, export)]) == 2
    assert "without upstream_tags has no released counterpart" in capsys.readouterr().err
    assert not (tmp_path / "b.pt").exists()


def change(path: Path, edit) -> None:
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s.pop("gmf.gate_linear.bias"), "no tensor gmf.gate_linear.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "unknown tensor extra"),
        (
            lambda s: s.update({"gmf.gate_linear.bias": torch.zeros(2)}),
            "fusion.gate.bias has shape (2,), expected (1,)",
        ),
        (lambda s: s.update({"lstm.char_cnn.linear.0.weight": torch.zeros(100, 7)}), "shape"),
        (lambda s: s.update(epoch=3), "epoch is none"),
    ],
    ids=["missing", "unknown", "shape", "odd", "more"],
)
def test_names_and_shapes_must_fit(released, tmp_path: Path, capsys, edit, message):
    _, arguments = released("acn")
    change(tmp_path / "theirs.pt", edit)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_other_mistakes_are_named(released, tmp_path: Path, capsys):
    _, arguments = released("acn")

    def fails(message: str, *more: str, system: str = "acn") -> None:
        assert main(["import-checkpoint", "--system", system, *arguments[3:], *more]) == 2
        assert message in capsys.readouterr().err

    fails("no converter for the system 'acnn'", system="acnn")
    fails("--table: acn needs words, chars, got chars, other, words", "--table", "other=x")
    fails("needs the roles none, got encoder", "--weights", "encoder=x")
    fails("vec_mner needs none", system="vec_mner")
    assert main(arguments) == 0
    fails("holds a finished run already")
    (tmp_path / "theirs.pt.words").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "run/model.safetensors").unlink()
    fails("expected [pad] and [unk] first")


class Evil:
    """What a pickle could run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit(77)",))


def test_only_tensors_are_read(tmp_path: Path):
    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "text.pt").write_text("nothing", encoding="utf-8")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    for name, message in {
        "evil.pt": "not a torch file of plain tensors",
        "plain.pt": "not a torch file of plain tensors",
        "text.pt": "not a torch file of plain tensors",
        "list.pt": "expected a state dict, got list",
    }.items():
        with pytest.raises(DataError, match=message):
            read_state(tmp_path / name)


@pytest.mark.parametrize("command", ["import-checkpoint", "export-checkpoint", "predict"])
def test_help_has_an_example(command: str, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"example: python -m train {command}" in " ".join(capsys.readouterr().out.split())
