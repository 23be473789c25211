"""Input and parameter functions of the rules: catalogue entries -> files and flags."""

CORPUS_REMEDY = "data/README.md says how to obtain each corpus and where its files go."


def of_kind(kind):
    """Selected feature sets, computed or imported, whose rows are of a kind."""
    return [name for name in CATALOGUE.of_kind(kind) if name in CATALOGUE.feature_sets]


def weights_files(entries):
    """Files of weights entries: made by a rule (rerun when remade), or given (checked)."""
    given = [entry for entry in entries if "path" in entry]
    for entry in given:
        try:
            resolve_weights(entry, entry["name"])
        except MnerError as error:
            raise stop(error) from None
    made = CATALOGUE.weights_input(entry["name"] for entry in entries)
    return made + [ancient(entry["path"]) for entry in given]


def given_sums(entries, files=()):
    """Checksums of given files; a stated `sha256` is in the entry, and the job compares it."""
    entries = [entry for entry in entries if "path" in entry and not entry.get("sha256")]
    return file_sums([*(entry["path"] for entry in entries), *files])


def corpus_file(entry, dataset, key):
    """A file of the corpus that the config names; the bundled sample's are made by a rule."""
    path = entry[key]
    if not path:
        raise stop(f"datasets.{dataset}.{key} is not set, but a feature set reads it.")
    drawn = path.startswith("data/sample/")
    return path if drawn else checked(path, f"datasets.{dataset}.{key} names it.")


def corpus_inputs(wildcards):
    """Texts, image folder and lists of a corpus: an edited text or a new image is noticed."""
    entry, repairs = dataset_entry(wildcards), repairs_of(wildcards)
    if entry["root"] == "data/sample":
        return [*rules.generate_sample.output, *repairs]
    places = [entry[key] for key in ("images", "evidence") if entry[key]]
    return [*split_files(entry), *(checked(place, CORPUS_REMEDY) for place in places), *repairs]


def corpus_texts(wildcards):
    """The split files of a corpus."""
    entry = dataset_entry(wildcards)
    is_drawn = entry["root"] == "data/sample"
    return rules.generate_sample.output.text if is_drawn else split_files(entry)


def repairs_of(wildcards):
    """The file of label corrections that a dataset names, as a list of one; none: empty."""
    entry = dataset_entry(wildcards)
    if not entry.get("repairs"):
        return []
    where = f"datasets.{wildcards.dataset}.repairs names it."
    try:
        return [checked(str(repairs_file(entry["repairs"])), where)]
    except MnerError as error:
        raise stop(error) from None


def images_state(wildcards):
    """Names, sizes and times of the image files: a replaced image leaves its folder's time alone."""
    entry = dataset_entry(wildcards)
    if not entry["images"] or entry["root"] == "data/sample":
        return ""
    return folder_state(entry["images"])


def split_files(entry):
    """The text file of each split; a missing one is named with where to get it."""
    known = load_module("extract.corpora.readers", entry["reader"]).SPLIT_FILES
    found = []
    for split in known:
        given = entry["text"]["files"].get(split)
        names = [given] if given else known[split]
        places = [os.path.normpath(os.path.join(entry["root"], name)) for name in names]
        found.append(next(filter(os.path.exists, places), places[0]))
    return [checked(path, CORPUS_REMEDY) for path in found]


def samples_files(wildcards):
    """The samples of every split: three of a training corpus, one of new tweets."""
    splits = load_module("extract.corpora.readers", dataset_entry(wildcards)["reader"]).SPLIT_FILES
    return [f"results/{wildcards.dataset}/samples/{split}.jsonl" for split in splits]


def phrase_weights(wildcards):
    """The tagger's model, where the backend has one."""
    return weights_files(CATALOGUE.definition(wildcards.phrases)["weights"].values())


def phrase_sums(wildcards):
    """Checksum of that model, where it is given."""
    return given_sums(CATALOGUE.definition(wildcards.phrases)["weights"].values())


def phrase_model(wildcards):
    """`--weights path` for a backend that loads a model."""
    entries = CATALOGUE.definition(wildcards.phrases)["weights"].values()
    return " ".join(flag("weights", resolve_weights(e, e["name"])) for e in entries)


def feature_inputs(wildcards):
    """What a feature set reads besides images: phrases, boxes, lists of the corpus."""
    entry, dataset = config["feature_sets"][wildcards.feature_set], dataset_entry(wildcards)
    folder = f"results/{wildcards.dataset}"
    inputs = {}
    if entry["boxes"]:
        inputs["boxes"] = f"{folder}/features/{entry['boxes']}.h5"
    if entry["phrases"]:
        inputs["phrases"] = f"{folder}/phrases/{entry['phrases']}.jsonl"
        inputs["samples"] = samples_files(wildcards)
    needs = load_plugin(entry["extractor"])[1].Extractor.needs
    for key in sorted({"captions", "annotations"} & needs):
        inputs[key] = corpus_file(dataset, wildcards.dataset, key)
    return inputs


def feature_flags(wildcards, input):
    """The optional inputs of an extractor as flags."""
    names = ("boxes", "phrases", "samples", "captions", "annotations")
    return " ".join(flag(name, input.get(name)) for name in names if input.get(name))


def feature_state(wildcards):
    """State of a folder of annotations: an edit in it leaves the folder's time alone."""
    _, plugin = load_plugin(config["feature_sets"][wildcards.feature_set]["extractor"])
    needs = plugin.Extractor.needs
    path = dataset_entry(wildcards)["annotations"] if "annotations" in needs else None
    return folder_state(path) if path and os.path.isdir(path) else ""


def kept_shards(wildcards):
    """Under --notemp, the shards of every feature set that has some: a deleted one comes back."""
    if not workflow.storage_settings.notemp:
        return []
    shards = []
    for dataset in RUN["datasets"]:
        for name in CATALOGUE.feature_sets:
            files = gather.images(f"results/{dataset}/shards/{name}.{{scatteritem}}.h5")
            shards += files if any(map(os.path.exists, files)) else []
    return shards
