"""Checkpoints of ITA's released code: names, K x K matrix, and a pickle that is read, not run."""

import builtins
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from extract.core.errors import DataError, MissingFileError
from tests.builders.train.ita_tiny import GOLDEN_MM, GOLDEN_TEXT, VOCABULARY, examples, golden_crf
from train.systems.ita.model import Model, cva_divergence
from train.systems.ita.options import EXTRA_STATES, Options
from train.systems.ita.released_checkpoint import (
    ENCODER,
    FORBIDDEN,
    START,
    STOP,
    from_released,
    read_checkpoint,
    to_released,
)

# Not in the order of our tags: order of first appearance, as the released code's.
DICTIONARY = [
    *("<unk>", "O", "S-LOC", "B-PER", "E-PER", "S-X", "B-LOC"),
    *("I-LOC", "E-LOC", "I-PER", "S-PER", START, STOP),
]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(5)


def random_matrix(n_states, start, stop, dtype=torch.float64):
    matrix = torch.randn(n_states, n_states, dtype=dtype)
    matrix[start], matrix[:, stop] = FORBIDDEN, FORBIDDEN
    return matrix


def matrix_recursions(matrix, emissions, start, stop):
    """Return log Z, posteriors and the best path of one sentence, with the released matrix.

    START and STOP are states like the others; A[to, from].
    """
    n_states, n_words = len(matrix), len(emissions)
    begin = torch.full((n_states,), FORBIDDEN, dtype=matrix.dtype)
    begin[start] = 0.0
    alphas, best, pointers = [], begin, []
    alpha = begin
    for emission in emissions:
        alpha = torch.logsumexp(matrix + alpha[None], dim=1) + emission
        alphas.append(alpha)
        score, origin = (matrix + best[None]).max(dim=1)
        best = score + emission
        pointers.append(origin)
    log_z = torch.logsumexp(alpha + matrix[stop], dim=0)
    beta, betas = matrix[stop], [matrix[stop]]
    for emission in reversed(emissions[1:]):
        beta = torch.logsumexp(matrix + (beta + emission)[:, None], dim=0)
        betas.append(beta)
    posteriors = (torch.stack(alphas) + torch.stack(betas[::-1]) - log_z).exp()
    path = [int((best + matrix[stop]).argmax())]
    for origin in reversed(pointers[1:]):
        path.append(int(origin[path[-1]]))
    assert len(path) == n_words
    return log_z, posteriors, path[::-1]


def built(folder, **changes):
    return Model(Options.upstream(**changes), VOCABULARY, {"encoder": folder}).double().eval()


def upstream_state(model, dictionary=DICTIONARY):
    """Return a random checkpoint of the released code with an encoder of our model's shapes."""
    state = {
        f"{ENCODER}{name.removeprefix('encoder.model.')}": torch.randn_like(tensor) / 10
        for name, tensor in model.state_dict().items()
        if name.startswith("encoder.model.")
    }
    n_states, dim = len(dictionary), model.encoder.dim
    return {
        f"{ENCODER}embeddings.position_ids": torch.arange(514)[None],
        **state,
        f"{ENCODER}pooler.dense.weight": torch.randn(dim, dim),
        f"{ENCODER}pooler.dense.bias": torch.randn(dim),
        "linear.weight": torch.randn(n_states, dim).double(),
        "linear.bias": torch.randn(n_states).double(),
        "transitions": random_matrix(n_states, dictionary.index(START), dictionary.index(STOP)),
    }


def loaded(folder, state, dictionary=DICTIONARY, **changes):
    model = built(folder, **changes)
    model.load_state_dict(from_released(state, dictionary, model.state_dict(), model.codec.states))
    return model


def test_the_worked_example_in_a_matrix_with_start_and_stop():
    """Log Z and best path of both views, and the alignment of the two posteriors."""
    crf = golden_crf()
    matrix = torch.full((5, 5), FORBIDDEN, dtype=torch.float64)
    matrix[:3, :3] = crf.transitions.data.T
    matrix[:3, 3], matrix[4, :3] = crf.start_transitions.data, crf.end_transitions.data
    found = []
    for expected, view in ((4.92780002, GOLDEN_TEXT), (5.70248470, GOLDEN_MM)):
        emissions = torch.cat([torch.tensor(view), torch.randn(3, 2)], dim=1).double()
        log_z, posteriors, path = matrix_recursions(matrix, emissions, 3, 4)
        assert log_z.item() == pytest.approx(expected, abs=1e-6)
        assert path == [0, 1, 2]
        found.append(posteriors[None, :, :3].log())
    text, mm = found
    assert text[0, 1].exp().tolist() == pytest.approx([0.270791, 0.556714, 0.172495], abs=1e-6)
    mask = torch.ones(1, 3, dtype=torch.bool)
    for temperature, expected in {1.0: 0.36405699, 2.0: 0.51853273, 4.0: 0.54685278}.items():
        divergence = cva_divergence(text, mm, mask, temperature).item()
        assert divergence == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_words", [1, 2, 7])
def test_the_matrix_and_the_three_tensors_agree(tiny_encoder, n_words):
    model = built(tiny_encoder("xlmr"))
    state = upstream_state(model)
    model = loaded(tiny_encoder("xlmr"), state)
    start, stop = DICTIONARY.index(START), DICTIONARY.index(STOP)
    place = [DICTIONARY.index(name) for name in model.codec.states]
    assert place != sorted(place) and len(place) == 11
    for _ in range(5):
        words = torch.randn(n_words, model.encoder.dim, dtype=torch.float64)
        theirs = words @ state["linear.weight"].T + state["linear.bias"]
        ours = model.head(words[None])
        torch.testing.assert_close(ours[0], theirs[:, place])
        log_z, posteriors, path = matrix_recursions(state["transitions"], theirs, start, stop)
        crf, mask = model.head.crf, torch.ones(1, n_words, dtype=torch.bool)
        assert crf.log_z(ours, mask).item() == pytest.approx(log_z.item(), abs=1e-9)
        marginals = crf.log_marginals(ours, mask).exp()[0]
        torch.testing.assert_close(marginals, posteriors[:, place], atol=1e-9, rtol=0)
        (found,), _ = crf.viterbi(ours, mask)
        named = [model.codec.states[index] for index in found]
        assert named == [DICTIONARY[index] for index in path]


def test_without_extra_states_they_are_forbidden(tiny_encoder):
    folder = tiny_encoder("xlmr")
    state = upstream_state(built(folder))
    model = loaded(folder, state, extra_states=())
    words = torch.randn(1, 4, model.encoder.dim, dtype=torch.float64)
    theirs = (words @ state["linear.weight"].T + state["linear.bias"])[0]
    for name in EXTRA_STATES:
        theirs[:, DICTIONARY.index(name)] = FORBIDDEN
    start, stop = DICTIONARY.index(START), DICTIONARY.index(STOP)
    log_z, _, path = matrix_recursions(state["transitions"], theirs, start, stop)
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert model.head.crf.log_z(model.head(words), mask).item() == pytest.approx(log_z.item())
    (found,), _ = model.head.crf.viterbi(model.head(words), mask)
    assert [model.codec.states[i] for i in found] == [DICTIONARY[i] for i in path]


@pytest.mark.parametrize("extra", [EXTRA_STATES, ()])
@pytest.mark.parametrize("dictionary", [None, DICTIONARY])
def test_there_and_back_is_the_identity(tiny_encoder, extra, dictionary):
    folder = tiny_encoder("bert")
    model = built(folder, extra_states=extra)
    state = to_released(model.state_dict(), model.codec.states, dictionary)
    assert state["transitions"].shape == (13, 13) and state["linear.weight"].shape == (13, 32)
    default = ["<unk>", *model.codec.states[:9], "S-X", START, STOP]
    back = loaded(folder, state, dictionary or default, extra_states=extra)
    assert all(torch.equal(back.state_dict()[n], t) for n, t in model.state_dict().items())
    batch = model.collate(examples())
    assert back.decode(batch, "mm") == model.decode(batch, "mm")


def test_back_and_there_loses_what_has_no_effect(tiny_encoder):
    folder = tiny_encoder("bert")
    state = upstream_state(built(folder))
    model = loaded(folder, state)
    again = to_released(model.state_dict(), model.codec.states, DICTIONARY)
    lost = {name for name in state if name not in again}
    assert lost == {f"{ENCODER}{n}" for n in ("embeddings.position_ids",)} | {
        f"{ENCODER}pooler.dense.{kind}" for kind in ("weight", "bias")
    }
    start, stop = DICTIONARY.index(START), DICTIONARY.index(STOP)
    for name, tensor in again.items():
        differs = (tensor != state[name]).nonzero().tolist()
        if name == "transitions":
            assert differs == [[stop, start]]
        else:
            assert {place[0] for place in differs} <= {start, stop}


def changed(state, **tensors):
    return {**state, **tensors}


def test_what_does_not_fit_is_named(tiny_encoder):
    folder = tiny_encoder("bert")
    model = built(folder)
    state, names, states = upstream_state(model), model.state_dict(), model.codec.states

    def convert(found, dictionary=DICTIONARY):
        return from_released(found, dictionary, names, states)

    with pytest.raises(DataError, match="unknown tensor extra"):
        convert(changed(state, extra=torch.zeros(1)))
    with pytest.raises(DataError, match="no tensor transitions"):
        convert({name: t for name, t in state.items() if name != "transitions"})
    key = next(name for name in state if name.endswith("layer.0.output.dense.weight"))
    with pytest.raises(DataError, match=r"missing encoder\.model.*layer\.0\.output\.dense\.weight"):
        convert({name: t for name, t in state.items() if name != key})
    with pytest.raises(DataError, match="has shape"):
        convert(changed(state, **{key: torch.zeros(2, 2)}))
    with pytest.raises(DataError, match="13 entries"):
        convert(changed(state, **{"linear.bias": torch.zeros(12)}))
    with pytest.raises(DataError, match="are not forbidden"):
        convert(changed(state, transitions=torch.randn(13, 13)))
    with pytest.raises(DataError, match="no S-LOC in"):
        convert(state, [name if name != "S-LOC" else "S-GPE" for name in DICTIONARY])
    with pytest.raises(DataError, match="S-GPE: unknown"):
        convert(state, [*DICTIONARY, "S-GPE"])
    with pytest.raises(DataError, match="unknown tensor more"):
        to_released({**names, "more": torch.zeros(1)}, states)


class Dictionary:
    """As flair's: names as bytes."""

    def __init__(self, names):
        self.idx2item = [name.encode() for name in names]
        self.item2idx = {name.encode(): index for index, name in enumerate(names)}


class Params:
    def __init__(self, params):
        self.params = params


class Embeddings(nn.Module):
    """A live network, whose code must not be needed."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)


class Trap:
    """Would run a command when unpickled."""

    def __reduce__(self):
        return (exec, ("import builtins; builtins.ita_trap = True",))


@pytest.fixture
def flair(monkeypatch):
    """A module to pickle from that is gone when the file is read."""
    module = ModuleType("flair_of_test")
    for cls in (Dictionary, Params, Embeddings, Trap):
        monkeypatch.setattr(cls, "__module__", "flair_of_test")
        setattr(module, cls.__name__, cls)
    monkeypatch.setitem(sys.modules, "flair_of_test", module)
    return module


def content_of(state):
    tagger = {"temperature": 4.0, "distill_posterior": True}
    return {
        "state_dict": state,
        "embeddings": Embeddings(),
        "tag_dictionary": Dictionary(DICTIONARY),
        "tag_type": "ner",
        **{"use_crf": True, "use_rnn": False, "use_cnn": False, "hidden_size": 256},
        **{"use_word_dropout": 0.1, "multi_view_training": True, "trap": Trap()},
        "config": Params({"model": {"FastSequenceTagger": tagger}}),
    }


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source")
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_is_read_without_its_code(
    tiny_encoder, tmp_path, flair, monkeypatch, zipped, protocol
):
    folder = tiny_encoder("bert")
    state = upstream_state(built(folder))
    path = tmp_path / "best-model.pt"
    options = {"_use_new_zipfile_serialization": zipped, "pickle_protocol": protocol}
    torch.save(content_of(state), path, **options)
    monkeypatch.delitem(sys.modules, "flair_of_test")
    found = read_checkpoint(path)
    assert not hasattr(builtins, "ita_trap")
    assert found.states == DICTIONARY
    assert list(found.state) == list(state)
    assert all(torch.equal(found.state[name], tensor) for name, tensor in state.items())
    assert found.options == Options.upstream(cva_temperature=4.0)
    model = Model(found.options, VOCABULARY, {"encoder": folder}).double()
    weights = from_released(found.state, found.states, model.state_dict(), model.codec.states)
    model.load_state_dict(weights)


def test_other_files_are_refused(tmp_path, flair):
    with pytest.raises(MissingFileError):
        read_checkpoint(tmp_path / "none.pt")
    path = tmp_path / "x.pt"
    path.write_text("hello")
    with pytest.raises(DataError, match="not a checkpoint"):
        read_checkpoint(path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="state_dict and tag_dictionary"):
        read_checkpoint(path)
    torch.save({**content_of({}), "use_rnn": True}, path)
    with pytest.raises(DataError, match="use_rnn is True"):
        read_checkpoint(path)
    torch.save({**content_of({}), "tag_dictionary": Params({})}, path)
    with pytest.raises(DataError, match="idx2item"):
        read_checkpoint(path)
