"""Small random networks beside the tiny detector: what the extractor `regions` loads."""

TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
TRUNK = {"kind": "resnet", "layers": [1, 1, 1, 1], "width_per_group": 4}
CLIP = {
    "kind": "clip_full",
    "vision": {**TOWER, "image_size": 32, "patch_size": 8},
    "text": TOWER,
    "projection_dim": 12,
}
WORDS = ("old", "red", "striped", "very long indeed", "wooden")
