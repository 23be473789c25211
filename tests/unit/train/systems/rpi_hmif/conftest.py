"""The small RPI-HMIF of this folder's tests."""

import pytest
import torch

from tests.builders.train.rpi_hmif_tiny import make_model, write_tower


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    return write_tower(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def build(tiny_encoder, tower):
    """Factory: options -> small model, float64 unless said otherwise."""

    def make(dtype=torch.float64, vision=tower, **options):
        return make_model(tiny_encoder("bert"), vision, dtype=dtype, **options)

    return make
