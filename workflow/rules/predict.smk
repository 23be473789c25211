"""New tweets and their images -> tags of a trained run: the use of what train.smk makes.

`snakemake --cores all predict --config predict_run=results/sample/runs/ita/seed1
predict_text=new.txt predict_images=folder predict_captions=list.txt`; a run that is not yet trained
is trained first. The new tweets are a dataset like any other, with one split: their features are
made by the rules of the training corpus, of the feature sets that the run reads.

Reads:  the files that the keys `predict_*` name, results/{dataset}/runs/{run}/seed{seed}/
Writes: results/predict/{name}/samples/predict.jsonl, images.tsv, stats.json, features/;
        results/predict/{name}/predictions/{dataset}/{run}/seed{seed}/
        predictions.conll, predictions.jsonl (tokens, tags, spans, confidence)
"""

TWEETS = PREDICTION.tweets if PREDICTION else "none"


rule predict:
    """Target: the text of `predict_text`, tagged by the run of `predict_run`."""
    input:
        predictions,


use rule prepare_dataset as prepare_tweets with:
    output:
        samples="results/{dataset}/samples/predict.jsonl",
        images="results/{dataset}/images.tsv",
        stats="results/{dataset}/stats.json",
    log:
        "logs/{dataset}/prepare_tweets.log",
    benchmark:
        "benchmarks/{dataset}/prepare_tweets.tsv"
    wildcard_constraints:
        dataset=TWEETS,


rule tag_tweets:
    """Tag new tweets with a trained run: `python -m train predict`."""
    input:
        stores=lambda wildcards: expand(
            "results/{tweets}/features/{feature_set}.h5",
            tweets=wildcards.tweets,
            feature_set=CATALOGUE.model_features(wildcards.run).values(),
        ),
        model="results/{dataset}/runs/{run}/seed{seed}/model.safetensors",
        samples="results/{tweets}/samples/predict.jsonl",
    output:
        conll="results/{tweets}/predictions/{dataset}/{run}/seed{seed}/predictions.conll",
        jsonl="results/{tweets}/predictions/{dataset}/{run}/seed{seed}/predictions.jsonl",
    log:
        "logs/{tweets}/tag_tweets.{dataset}.{run}.seed{seed}.log",
    benchmark:
        "benchmarks/{tweets}/tag_tweets.{dataset}.{run}.seed{seed}.tsv"
    wildcard_constraints:
        tweets=TWEETS,
        dataset=CORPORA,
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: runtime("models", wildcards.run, "threads")
    resources:
        gpu=gpu_resources,
        device=config["device"],
        mem=training_memory,
    params:
        run=subpath(input.model, parent=True),
        features="results/{tweets}/features",
        out=subpath(output.conll, parent=True),
    shell:
        "python -m train predict "
        "--run {params.run:q} "
        "--samples {input.samples:q} "
        "--features {params.features:q} "
        "--device {resources.device} "
        "--threads {threads} "
        "--out {params.out:q} "
        "> {log:q} 2>&1"
