"""A random Grounding DINO of 0.2 million weights, saved as the published ones are."""

import json
from pathlib import Path
from typing import Any

from extract.networks.random_weights import write_random_weights

CONFIG: dict[str, Any] = {
    "kind": "grounding_dino",
    "vision": {
        "image_size": 64,
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
    },
    "text": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    },
    "d_model": 32,
    "num_queries": 20,
    "encoder_layers": 1,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    # One decoder layer has no tied box heads, which the loader expects.
    "decoder_layers": 2,
    "decoder_ffn_dim": 32,
    "decoder_attention_heads": 2,
}

# Under 65 px the coarsest of the feature maps would be one cell, which its group norm refuses.
SHORTEST_EDGE, LONGEST_EDGE = 72, 120


def write_tiny_grounding_dino(folder: Path, **config: Any) -> Path:
    """Write the checkpoint; boxes and scores depend on the picture and the words."""
    import torch
    from transformers import GroundingDinoForObjectDetection

    write_random_weights(CONFIG | config, 1, folder)
    model = GroundingDinoForObjectDetection.from_pretrained(folder)
    torch.manual_seed(2)
    # A fresh box head answers 0 whatever it sees: every box would be a cell of the grid.
    for head in (model.bbox_embed[0], model.model.encoder_output_bbox_embed):
        for layer in head.layers:
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        head.layers[-1].weight.data *= 0.5
        # Wide and high enough to overlap.
        head.layers[-1].bias.data[2:] = 1.0
    # Fresh layers are so sure of everything that all scores would be 1 in float32.
    model.model.decoder.layer_norm.weight.data.fill_(0.2)
    model.save_pretrained(folder)
    file = folder / "preprocessor_config.json"
    stated = json.loads(file.read_text())
    stated["size"] = {"shortest_edge": SHORTEST_EDGE, "longest_edge": LONGEST_EDGE}
    file.write_text(json.dumps(stated))
    return folder
