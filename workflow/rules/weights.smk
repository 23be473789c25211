"""Weights made here, and the spec of each feature set.

Reads:  the config, checkpoints on this machine
Writes: results/weights/{weights}/, results/specs/{feature_set}.json
"""


include: "weights_inputs.smk"


rule make_random_weights:
    """Write random weights, where the config asks for them: `python -m extract weights`."""
    output:
        directory("results/weights/{weights}"),
    log:
        "logs/weights/{weights}.log",
    benchmark:
        "benchmarks/make_random_weights.{weights}.tsv"
    wildcard_constraints:
        weights=made("random"),
    conda:
        "../../envs/vision.yaml"
    params:
        entry=lambda wildcards: json.dumps(config["weights"][wildcards.weights], sort_keys=True),
    shell:
        "python -m extract weights "
        "--entry {params.entry:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule cut_weights:
    """Keep the lower layers of a text encoder: `python -m extract weights`."""
    input:
        lambda wildcards: weights_files([cut_source(wildcards)]),
    output:
        directory("results/weights/{weights}"),
    log:
        "logs/weights/{weights}.log",
    benchmark:
        "benchmarks/cut_weights.{weights}.tsv"
    wildcard_constraints:
        weights=made("cut"),
    conda:
        "../../envs/vision.yaml"
    params:
        entry=cut_entry,
        files=lambda wildcards: given_sums([cut_source(wildcards)]),
    shell:
        "python -m extract weights "
        "--entry {params.entry:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule draw_for_towers:
    """Draw what the sample's vision towers learn from: `python -m extract sample-drawings`."""
    output:
        temp("results/drawings/seed{tower_seed}_{n_drawings}.safetensors"),
    log:
        "logs/weights/draw_for_towers.seed{tower_seed}_{n_drawings}.log",
    benchmark:
        "benchmarks/draw_for_towers.seed{tower_seed}_{n_drawings}.tsv"
    wildcard_constraints:
        tower_seed=r"\d+",
        n_drawings=r"\d+",
    priority: 50  # the longest chain of the sample begins here
    conda:
        "../../envs/vision.yaml"
    threads: all_cores
    shell:
        "python -m extract sample-drawings "
        "--seed {wildcards.tower_seed} "
        "--images {wildcards.n_drawings} "
        "--workers {threads} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule train_sample_vision:
    """Train a vision tower of the sample on other drawings: `python -m extract sample-vision`."""
    input:
        tower_drawings,
    output:
        directory("results/weights/{weights}"),
    log:
        "logs/weights/{weights}.log",
    benchmark:
        "benchmarks/train_sample_vision.{weights}.tsv"
    wildcard_constraints:
        weights=made("trained"),
    priority: 50
    conda:
        "../../envs/vision.yaml"
    threads: 1  # small batches: two at a time are faster, and the bytes are those of any machine
    params:
        version=tower_version,
        architecture=lambda wildcards: trained_tower(wildcards.weights, "architecture"),
        seed=lambda wildcards: trained_tower(wildcards.weights, "seed"),
        images=lambda wildcards: trained_tower(wildcards.weights, "images"),
        precision=lambda wildcards: trained_tower(wildcards.weights, "precision"),
    shell:
        "python -m extract sample-vision "
        "--architecture {params.architecture} "
        "--seed {params.seed} "
        "--images {params.images} "
        "--drawings {input:q} "
        "--precision {params.precision} "
        "--threads {threads} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule write_spec:
    """Resolve options and weights of a feature set: `python -m extract spec`."""
    input:
        spec_weights,
    output:
        "results/specs/{feature_set}.json",
    log:
        "logs/specs/{feature_set}.log",
    benchmark:
        "benchmarks/write_spec.{feature_set}.tsv"
    conda:
        "../../envs/vision.yaml"
    params:
        definition=lambda wildcards: CATALOGUE.definition_json(wildcards.feature_set),
        files=spec_sums,
    shell:
        "python -m extract spec "
        "--definition {params.definition:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"
