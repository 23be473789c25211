"""An ablation table as Markdown: for each corpus all tweets, then F1 by slice of the tweets."""

from collections.abc import Sequence

from train.comparing.ablation import AblationRow
from train.comparing.markdown import markdown_table
from train.comparing.tables import shown
from train.measures.slices import ALL

_INTRODUCTION = """# Ablation {name}

Entity-level micro scores in percent, read as conlleval does, mean over seeds (and standard
deviation of F1). Differences are to the first row, in points, with 95 % paired-bootstrap intervals
over tweets and two-sided p, as it is and after Holm's correction for the number of rows. What
another training with another seed would change is neither in the intervals nor in p.
"""


def render_page(name: str, rows: Sequence[AblationRow]) -> str:
    """Return the page.

    Args:
        name: of the table.
        rows: of `ablation_rows`.
    """
    parts = [_INTRODUCTION.format(name=name)]
    for dataset in dict.fromkeys(row.dataset for row in rows):
        mine = [row for row in rows if row.dataset == dataset]
        parts += [f"## {dataset}\n", _whole(mine)]
        if any(row.slice != ALL for row in mine):
            parts += ["F1 by slice of the tweets:\n", _by_slice(mine)]
    return "\n".join(parts)


def _whole(rows: Sequence[AblationRow]) -> str:
    head = ("", "seeds", "precision", "recall", "F1", "difference", "p", "p, Holm")
    body = [
        (
            row.switch,
            str(row.n_seeds),
            shown("precision", row.precision),
            shown("recall", row.recall),
            _score(row),
            _difference(row),
            shown("p", row.p),
            shown("p", row.p_holm),
        )
        for row in rows
        if row.slice == ALL
    ]
    return markdown_table(head, body)


def _by_slice(rows: Sequence[AblationRow]) -> str:
    slices = list(dict.fromkeys(row.slice for row in rows if row.slice != ALL))
    cells = {(row.switch, row.slice): _compared(row) for row in rows}
    switches = dict.fromkeys(row.switch for row in rows)
    return markdown_table(
        ("", *slices), ([switch, *(cells[switch, name] for name in slices)] for switch in switches)
    )


def _score(row: AblationRow) -> str:
    """Return `71.23 ± 0.45`, or the mean alone with one seed."""
    deviation = f" ± {shown('f1_sd', row.f1_sd)}" if row.n_seeds > 1 else ""
    return f"{shown('f1_mean', row.f1_mean)}{deviation}"


def _difference(row: AblationRow) -> str:
    """Return `-1.23 [-2.00, -0.50]`; nothing for the full model."""
    if row.delta is None:
        return ""
    bounds = f" [{row.low:+.2f}, {row.high:+.2f}]" if row.low is not None else ""
    return f"{row.delta:+.2f}{bounds}"


def _compared(row: AblationRow) -> str:
    """Return the score with the difference in brackets."""
    difference = _difference(row)
    return f"{_score(row)} ({difference})" if difference else _score(row)
