"""The counts as one HTML page that needs no other file and no script; each count opens its ids."""

import html
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from extract.look.losses.counts import Case, Count, affected, general_reason
from extract.look.losses.sources import Source
from extract.tables.samples import Sample

MAX_IDS = 1000
"""Ids shown of one count; the table of ids has them all."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Degradation</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto;
  padding: 0 1rem; color: #222; }}
h2 {{ margin: 2rem 0 .3rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; }}
thead th {{ border-bottom: 2px solid #888; }}
tbody th {{ font-weight: 600; min-width: 11rem; }}
tbody th small, p small {{ display: block; font-weight: 400; color: #666; }}
tr.reason th {{ font-weight: 400; padding-left: 2rem; }}
tr.unit th, tr.unit td {{ border-bottom-color: #f2f2f2; }}
td {{ font-variant-numeric: tabular-nums; }}
td li {{ overflow-wrap: anywhere; }}
td.zero {{ color: #999; }}
summary {{ cursor: pointer; }}
ul {{ margin: .3rem 0; padding: .3rem 0 .3rem 1.2rem; max-height: 20rem; overflow: auto;
  font-size: 13px; background: #f7f7f7; }}
</style></head><body>
<h1>Degradation</h1>
<p>What the corpus loses on its way to features. Every problem that was looked for is listed; click
on a count to see its ids.<small>Tweets: a tweet whose image is shared counts itself. Images: each
once a split, however many tweets share it. Boxes: rows of the grounding store. Shares are of all
tweets, images or boxes of the split.</small></p>
<table><thead><tr><th>split</th><th>tweets</th><th>images</th></tr></thead><tbody>
{splits}
</tbody></table>
{sources}
</body></html>
"""


def make_page(
    splits: Mapping[str, Sequence[Sample]],
    sources: Iterable[Source],
    counts: Iterable[Count],
    cases: Iterable[Case],
    ids_name: str,
) -> str:
    """Return the page.

    Args:
        splits: split -> its samples.
        sources: in the order of the sections.
        counts: of `count_cases`.
        cases: of `find_cases`.
        ids_name: file name of the table of ids, which the page names where it shows a part.
    """
    by_problem: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in cases:
        by_problem[case.split, case.source, case.problem].append(case)
    by_source: dict[str, list[Count]] = defaultdict(list)
    for count in counts:
        by_source[count.source].append(count)
    sections = (
        _section(source, list(splits), by_source[source.name], by_problem, ids_name)
        for source in sources
    )
    return _PAGE.format(
        splits="\n".join(
            f"<tr><th>{html.escape(split)}</th><td>{len(samples):,}</td>"
            f"<td>{len({sample.image_id for sample in samples}):,}</td></tr>"
            for split, samples in splits.items()
        ),
        sources="\n".join(sections),
    )


def _section(
    source: Source,
    splits: Sequence[str],
    counts: Sequence[Count],
    by_problem: Mapping[tuple[str, str, str], Sequence[Case]],
    ids_name: str,
) -> str:
    """Return the table of one source: a line a problem, reason and unit, a column a split."""
    cells = {(c.problem, c.reason, c.unit, c.split): c for c in counts}
    lines = []
    for problem in source.problems:
        reasons = sorted({c.reason for c in counts if c.problem == problem.name})
        for reason in reasons:
            for unit in problem.units:
                title = html.escape(reason or problem.name)
                title += "" if reason else f"<small>{html.escape(problem.meaning)}</small>"
                row = [cells.get((problem.name, reason, unit, split)) for split in splits]
                shown = (_cell(count, by_problem, ids_name) for count in row)
                is_first, is_last = unit == problem.units[0], unit == problem.units[-1]
                lines.append(
                    f'<tr class="{"reason" if reason else "problem"}{"" if is_last else " unit"}">'
                    f"<th>{title if is_first else ''}</th><td>{unit}</td>{''.join(shown)}</tr>"
                )
    heads = "".join(f"<th>{html.escape(split)}</th>" for split in splits)
    return (
        f"<h2>{html.escape(source.name)}</h2>\n<table><thead><tr><th>problem</th><th>unit</th>"
        f"{heads}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table>"
    )


def _cell(
    count: Count | None,
    by_problem: Mapping[tuple[str, str, str], Sequence[Case]],
    ids_name: str,
) -> str:
    """Return a count with its ids folded away; a reason that a split has not counts 0."""
    if count is None or not count.count:
        of = "" if count is None else f" of {count.of:,}"
        return f'<td class="zero">0{of}</td>'
    cases = [
        case
        for case in by_problem[count.split, count.source, count.problem]
        if count.reason in ("", general_reason(case.finding))
    ]
    cases = affected(cases, count.unit)
    items = "".join(f"<li>{_line(case, count.unit)}</li>" for case in cases[:MAX_IDS])
    if len(cases) > MAX_IDS:
        items += f"<li>and {len(cases) - MAX_IDS:,} more: see {html.escape(ids_name)}</li>"
    share = "" if count.share is None else f" ({count.share:.2%})"
    return (
        f"<td><details><summary>{count.count:,} of {count.of:,}{share}</summary>"
        f"<ul>{items}</ul></details></td>"
    )


def _line(case: Case, unit: str) -> str:
    """Return an id with what there is to say about it."""
    shown = f"{case.sample_id} (image {case.image_id})" if unit == "tweets" else case.image_id
    detail = case.finding.detail if unit == "boxes" or case.finding.row < 0 else ""
    return html.escape(f"{shown}: {detail}" if detail else shown)
