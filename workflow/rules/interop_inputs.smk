"""Input and parameter functions of imports and exports."""


def import_sources(wildcards):
    """The foreign files of an import for this corpus."""
    name, dataset = wildcards.feature_set, wildcards.dataset
    paths = config["imports"][name]["sources"].get(dataset)
    if not paths:
        raise stop(f"imports.{name}.sources: nothing is given for dataset '{dataset}'.")
    return [checked(path, f"imports.{name}.sources.{dataset} names it.") for path in paths]


def import_state(wildcards):
    """State of the folders among an import's files: an edit in one leaves its time alone."""
    sources = config["imports"][wildcards.feature_set]["sources"].get(wildcards.dataset, [])
    return [folder_state(path) for path in sources if os.path.isdir(path)]


def import_samples(wildcards):
    """The samples, for the kinds whose items they are."""
    entry = config["imports"][wildcards.feature_set]
    kind = load_module("extract.interop.artefacts", entry["kind"])
    if getattr(kind, "ID_KIND", "image") == "image":
        return []
    return expand(f"results/{wildcards.dataset}/samples/{{split}}.jsonl", split=SPLITS)


def export_inputs(wildcards):
    """Crops and stores that an export writes."""
    entry, folder = config["exports"][wildcards.export], f"results/{wildcards.dataset}"
    crops = {role: entry[role] for role in ("crops", "detector_crops") if entry[role]}
    inputs = {role: f"{folder}/crops/{name}/crops.jsonl" for role, name in crops.items()}
    if entry["stores"]:
        inputs["stores"] = [f"{folder}/features/{n}.h5" for n in entry["stores"].values()]
    return inputs


def export_flags(wildcards, input):
    """The inputs of an export as flags."""
    roles = config["exports"][wildcards.export]["stores"]
    stores = [f"{role}={path}" for role, path in zip(roles, input.get("stores", []))]
    folders = {
        "crops": os.path.dirname(input.get("crops", "")),
        "detector-crops": os.path.dirname(input.get("detector_crops", "")),
    }
    return " ".join(filter(None, [flag("store", stores), *(flag(*f) for f in folders.items())]))
