"""These functions turn one form in which hubs publish weights into another.

The forms are those of transformers' `save_pretrained` over the years: pytorch_model.bin, which is a
zip archive since torch 1.6; parts with an index, where the weights are large; model.safetensors
since 2022. The snapshot of links is how huggingface_hub keeps its cache.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]


def write_json(file: Path, content: Mapping) -> None:
    """Write a JSON file as the hub's tools do."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def write_safetensors(folder: Path, tensors: Tensors, *, metadata: bool = True) -> None:
    """Write `model.safetensors`; early converters left its metadata out."""
    plain = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"} if metadata else None)


def write_bin(folder: Path, tensors: Tensors, *, zipped: bool = True) -> None:
    """Write `pytorch_model.bin`; not zipped is the form from before torch 1.6."""
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)


def old_norms(tensors: Tensors) -> Tensors:
    """Return the tensors with the names that TensorFlow's BERT gives layer norms."""
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }


def read(folder: Path) -> Tensors:
    """Return the tensors of a folder with one file of weights, and remove the file."""
    file = folder / "model.safetensors"
    if file.is_file():
        tensors = load_file(file)
    else:
        file = folder / "pytorch_model.bin"
        tensors = torch.load(file, weights_only=True)
    for name in ("model.safetensors", "pytorch_model.bin"):
        (folder / name).unlink(missing_ok=True)
    return tensors


def as_safetensors(folder: Path) -> Path:
    """Keep `model.safetensors` alone."""
    write_safetensors(folder, read(folder))
    return folder


def as_safetensors_without_metadata(folder: Path) -> Path:
    """Keep a `model.safetensors` that does not say which library wrote it."""
    write_safetensors(folder, read(folder), metadata=False)
    return folder


def as_bin(folder: Path) -> Path:
    """Keep `pytorch_model.bin` alone, as a zip archive."""
    write_bin(folder, read(folder))
    return folder


def as_legacy_bin(folder: Path) -> Path:
    """Keep `pytorch_model.bin` alone, in the form from before torch 1.6."""
    write_bin(folder, read(folder), zipped=False)
    return folder


def as_half_precision(folder: Path) -> Path:
    """Write float16 tensors, and a config that says so."""
    tensors = {k: t.half() if t.is_floating_point() else t for k, t in read(folder).items()}
    write_safetensors(folder, tensors)
    config = json.loads((folder / "config.json").read_bytes())
    write_json(folder / "config.json", {**config, "torch_dtype": "float16"})
    return folder


def as_bin_parts(folder: Path) -> Path:
    """Write two `pytorch_model-0000x-of-00002.bin` and their index."""
    _write_parts(folder, "pytorch_model", "bin")
    return folder


def as_safetensors_parts(folder: Path) -> Path:
    """Write two `model-0000x-of-00002.safetensors` and their index."""
    _write_parts(folder, "model", "safetensors")
    return folder


def as_old_norms(folder: Path) -> Path:
    """Write `gamma` and `beta` in place of the weight and bias of layer norms."""
    write_bin(folder, old_norms(read(folder)))
    return folder


def as_cache_snapshot(folder: Path) -> Path:
    """Write links to content named by checksum, as in the cache of huggingface_hub."""
    root = folder.parent / f"models--owner--{folder.name}"
    snapshot = root / "snapshots" / ("0123456789" * 4)
    (root / "blobs").mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(snapshot.name)
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        blob = root / "blobs" / sha256(file.read_bytes()).hexdigest()
        blob.write_bytes(file.read_bytes())
        link = snapshot / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        up = Path(*[".."] * len(link.relative_to(root).parent.parts))
        link.symlink_to(up / "blobs" / blob.name)
    return snapshot


def as_odd_name(folder: Path) -> Path:
    """Rename the folder, so that its path has blanks, accents and an emoji."""
    return folder.rename(folder.with_name(f"modèles à moi 😀 {folder.name}"))


FORMS = (
    as_safetensors,
    as_safetensors_without_metadata,
    as_bin,
    as_legacy_bin,
    as_half_precision,
    as_bin_parts,
    as_safetensors_parts,
    as_old_norms,
    as_cache_snapshot,
    as_odd_name,
)


def _write_parts(folder: Path, stem: str, suffix: str) -> None:
    tensors = read(folder)
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = folder / f"{stem}-{number:05}-of-00002.{suffix}"
        content = {name: tensors[name].contiguous().clone() for name in part}
        if suffix == "bin":
            torch.save(content, file)
        else:
            save_file(content, file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file.name)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / f"{stem}.{suffix}.index.json", index)
