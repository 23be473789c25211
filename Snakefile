"""From tweets and images to features, trained systems and a comparison.

`snakemake --cores all` builds everything that `run:` in the config selects; the targets below build
a part. Settings: workflow/config/default.yaml, overlaid with `--configfile`.
"""

from snakemake.utils import min_version

min_version("9.25")


configfile: workflow.source_path("workflow/config/default.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/grounding.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/inspection.smk"
include: "workflow/rules/interop.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/ablation.smk"
include: "workflow/rules/diagnose.smk"


localrules:
    all,
    write_spec,
    write_run_spec,
    summarize,


rule all:
    default_target: True
    input:
        # Also what others read: a deleted store is made again, and all that follows from it.
        rules.dataset.input,
        rules.audit.input,
        rules.phrases.input,
        rules.features.input,
        rules.verify.input,
        rules.crops.input,
        rules.dictionaries.input,
        rules.degradation.input,
        rules.exports.input,
        rules.report.input,
        kept_shards,


onstart:
    start_errors()


onerror:
    show_errors()
