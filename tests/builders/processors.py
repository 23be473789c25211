"""Other processors than the one at hand, for a process that is started with these variables."""

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""torch then computes as on a processor that has no instructions of AVX512 and no bfloat16."""
