"""Input and parameter functions of weights that a rule makes, and of the specs that name weights."""


def made(kind):
    """Wildcard pattern of the weights entries that a rule makes."""
    return "|".join(n for n, entry in config["weights"].items() if kind in entry) or "none"


def trained_tower(name, key):
    """A value of a weights entry of the kind `trained`."""
    return config["weights"][name]["trained"][key]


def tower_drawings(wildcards):
    """The drawings that a tower learns from; towers of one seed and number share them."""
    seed, images = (trained_tower(wildcards.weights, key) for key in ("seed", "images"))
    return f"results/drawings/seed{seed}_{images}.safetensors"


def tower_version(wildcards):
    """VERSION of a tower's training: raising it is a reason to train again."""
    architecture = trained_tower(wildcards.weights, "architecture")
    return source_version(Path(workflow.basedir) / f"extract/sample/towers/{architecture}.py")


def cut_source(wildcards):
    """The weights entry whose lower layers are kept."""
    name = config["weights"][wildcards.weights]["cut"]["of"]
    return {"name": name, **config["weights"][name]}


def cut_entry(wildcards):
    """The entry with its source in place of the source's name, as JSON."""
    cut = config["weights"][wildcards.weights]["cut"]
    return json.dumps({"cut": {**cut, "of": cut_source(wildcards)}}, sort_keys=True)


def spec_weights(wildcards):
    """Weights of a feature set: made by a rule, or already there."""
    return weights_files(CATALOGUE.definition(wildcards.feature_set)["weights"].values())


def spec_sums(wildcards):
    """Checksums of the given ones: a replaced checkpoint is a reason to write the spec anew."""
    return given_sums(CATALOGUE.definition(wildcards.feature_set)["weights"].values())
