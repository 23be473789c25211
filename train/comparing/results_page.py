"""The results table as a page of Markdown: what it shows first, then one section a dataset."""

from collections.abc import Callable, Mapping, Sequence

from train.comparing.markdown import markdown_table
from train.comparing.results_table import ResultRow
from train.comparing.tables import shown

INTRODUCTION = "Scores on test, in percent, of the epoch that was best on valid; means over seeds."

LEGEND = {
    "F1": "micro-averaged over entities, read as conlleval does; ± is the sample standard "
    "deviation over seeds (none with one seed).",
    "95 % interval": "percentile bootstrap over the test tweets. It says what other tweets would "
    "change. What another training would change is not in it: that is ±.",
    "macro": "mean over the entity types of their F1.",
    "strict": "micro F1 in strict IOB2.",
    "seen, unseen": "recall of the mentions that training holds and does not hold (same surface, "
    "case aside, and same type).",
    "repaired": "micro F1 of the same predictions against the repaired gold.",
    "- text_crf, - best, - main": "difference to the text-only baseline, to the best main run of "
    "the corpus and, of a control, to the main run of its system, in points; in brackets two-sided "
    "p of the paired bootstrap over tweets, after Holm's correction for all comparisons of the "
    "corpus. Means over all seeds of each are compared, also where their numbers differ. The best "
    "run was chosen on these scores, so p against it only describes.",
    "detectable": "the true difference that the test of the row finds in 80 % of such test "
    "splits before Holm's correction (2.80 standard errors of the paired difference): against "
    "text_crf, or of a control against its main run. Smaller ones may be there and be missed.",
    "computed in": "precision of the networks, in training and in scoring: fp32, or bf16, which is "
    "autocast. In the other precision, or on another processor, the same run has other scores.",
}
"""Column -> what it means."""

PUBLISHED = (
    "Published scores are micro F1 on test of one run or its authors' choice, without interval. "
    "Second-hand numbers were read in somebody else's table. A difference to a number that is not "
    "comparable says nothing about the method."
)

Cell = Callable[[ResultRow], str]


def _number(value: float) -> str:
    """Return two decimals; nothing for NaN."""
    return f"{value:.2f}" if value == value else ""


def _gap(delta: float | None, p: float | None) -> str:
    """Return `+1.20 (0.014)`; p below 0.001 as such."""
    if delta is None or p is None:
        return ""
    return f"{delta:+.2f} ({'< 0.001' if p < 0.001 else f'{p:.3f}'})"


_SCORES: dict[str, Cell] = {
    "system": lambda row: row.system,
    "variant": lambda row: row.variant,
    "seeds": lambda row: str(row.n_seeds),
    "F1": lambda row: f"{row.f1_mean:.2f}" + (f" ± {row.f1_sd:.2f}" if row.n_seeds > 1 else ""),
    "95 % interval": lambda row: f"{row.low:.2f} – {row.high:.2f}",
    "- text_crf": lambda row: _gap(row.delta_baseline, row.p_baseline),
    "- best": lambda row: _gap(row.delta_best, row.p_best),
    "- main": lambda row: _gap(row.delta_main, row.p_main),
    "detectable": lambda row: shown("min_detectable", row.min_detectable),
    "macro": lambda row: _number(row.macro_f1_mean),
    "strict": lambda row: _number(row.strict_f1_mean),
    "seen": lambda row: _number(row.seen_recall_mean),
    "unseen": lambda row: _number(row.unseen_recall_mean),
    "repaired": lambda row: _number(row.repaired_f1_mean),
    "computed in": lambda row: row.computed_in,
}
_PUBLISHED_COLUMNS: dict[str, Cell] = {
    "system": lambda row: row.system,
    "encoder": lambda row: row.encoder or "not known",
    "published in": lambda row: (
        f"{row.published_source} ({row.published_provenance.replace('_', ' ')})"
    ),
    "comparable": lambda row: row.comparable,
    "note": lambda row: row.published_note or "–",
    "F1": lambda row: f"{row.f1_mean:.2f}",
    "published F1": lambda row: shown("f1", row.published_f1),
}


def render_results(rows: Sequence[ResultRow]) -> str:
    """Return the page."""
    legend = "".join(f"- **{name}**: {text}\n" for name, text in LEGEND.items())
    parts = [f"# Results\n\n{INTRODUCTION}\n\n{legend}"]
    for dataset in dict.fromkeys(row.dataset for row in rows):
        mine = [row for row in rows if row.dataset == dataset]
        parts += [f"## {dataset or 'dataset'}\n", _table(score_columns(mine), n_text=2)]
        published = published_columns(mine)
        if published:
            parts += [f"### Beside published scores\n\n{PUBLISHED}\n", _table(published, n_text=5)]
    return "\n".join(parts)


def score_columns(rows: Sequence[ResultRow]) -> dict[str, list[str]]:
    """Return column -> cells of the scores; a column without a value is left out."""
    return _filled(rows, _SCORES)


def published_columns(rows: Sequence[ResultRow]) -> dict[str, list[str]]:
    """Return column -> cells of the rows that stand beside a published score."""
    return _filled([row for row in rows if row.published_f1 is not None], _PUBLISHED_COLUMNS)


def _filled(rows: Sequence[ResultRow], columns: Mapping[str, Cell]) -> dict[str, list[str]]:
    cells = {name: [cell(row) for row in rows] for name, cell in columns.items()}
    return {name: column for name, column in cells.items() if any(column)}


def _table(columns: Mapping[str, Sequence[str]], n_text: int) -> str:
    return markdown_table(list(columns), zip(*columns.values(), strict=True), n_text=n_text)
