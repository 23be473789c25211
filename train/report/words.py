"""What the report says about its numbers: what they contain, and what they do not."""

TITLE = "Results"

SCORES = """
<p>Entity-level scores on the test split in percent, micro-averaged, read as conlleval does: an
<code>I-X</code> without its <code>B-X</code> opens an entity, and every gold entity counts.
Means are over trainings with different seeds; <em>sd</em> is the sample standard deviation over
them, a dash where there is one training. Of each training, the epoch with the best F1 on valid is
scored, or the last one where its recipe says so (<code>selection: last</code>); test has no part in
the choice. A click on a heading sorts.</p>"""

VARIANTS_TITLE = "What the variants are"

VARIANTS = {
    "main": "the system as it is: every tweet with its own image and the texts read from it.",
    "text_view": "not another training: the weights of main tag the tweet alone, in a system that "
    "was trained to do so too. It shows what the same model does without the image at test time.",
    "shuffled": "trained and tested anew, every tweet with what belongs to another tweet's image. "
    "It has as many inputs and parameters as main, but they do not fit the tweet.",
    "blank": "trained and tested anew with nothing of the image.",
    "without_<role>": "trained and tested anew without one input, such as the captions "
    "(without_captions), the words in the image (without_ocr) or its objects (without_objects).",
}
"""Variant -> what is done to a run."""

INTERVALS = """
<p>The intervals say how much a score could move <em>with other tweets of the same kind</em>: the
test tweets are drawn again with replacement, the same draw for all systems and seeds, and the
score is the mean over the seeds at hand. They do <strong>not</strong> contain what other seeds
(see sd), other hyper-parameters, another split or other annotators would change. A difference
between two systems has a paired interval of its own, narrower than the two separate ones suggest:
compare systems by it, not by whether their intervals overlap.</p>
<p><em>p</em> is of the two-sided paired bootstrap; <code>p_holm</code>, and every p of the table of
systems, is corrected by Holm's method for all comparisons of the dataset. A large p does not say
that two systems are equal: <em>min detectable</em> is the difference that this test set would show
four times out of five. A published number is comparable only where the column says so: another
copy of the data, another reading of the tags or a choice by test scores move F1 by more than the
differences at stake.</p>"""

SYSTEMS = "Systems, corpora and variants"

LEGEND = "What the columns mean"

PUBLISHED = "Main runs and what is published of their systems, micro F1 in percent"

GAPS = "Means and differences with 95 % intervals, in F1 points"

MEANS = "Mean scores over seeds, in percent"

INPUTS_PANEL = "what the image and its texts buy"

BY_SLICE = "Mean scores over seeds by slice of the tweets, in percent"

NO_RUNS = "<p>No run was given, so there are no taggings to look at.</p>"

BROWSER = """
<p>Test tweets with the gold entities and those of two trainings. Every name carries its type in
letters, and what is wrong with it: <em>wrong type</em>, <em>wrong boundary</em>, <em>boundary and
type</em>, <em>spurious</em> (no gold entity there), <em>missed</em>. Keys: <kbd>n</kbd> and
<kbd>p</kbd> go to the next and the previous tweet, <kbd>]</kbd> and <kbd>[</kbd> to the next and
the previous page. The address of the page follows what is shown, so it can be kept or sent.</p>
<div id="browser"><noscript><p>The browser needs JavaScript; tables and figures do
not.</p></noscript></div>"""

FIGURES = {
    "f1_intervals": (
        "F1 of each system",
        "Mean over seeds with its 95 % bootstrap interval over tweets. Dashed lines, where there "
        "are some, are what a reader of only some evidence can reach.",
    ),
    "differences": (
        "Differences, paired",
        "First minus second with the paired 95 % interval; right of the line at 0 the first is "
        "better. Filled: p below .05 (adjusted by Holm's method where the table has that column); "
        f"hollow: not told apart by this test set. The panel '{INPUTS_PANEL}' has main minus each "
        "other variant of the same system that was run: text_view, shuffled, blank and "
        "without_<role>.",
    ),
    "f1_by_type": ("F1 by entity type", "Mean and standard deviation over seeds."),
    "recall_by_mention": (
        "Seen and unseen mentions",
        "Recall of gold entities: seen ones stand, with that type, in the training tweets. "
        "Handles are entities with a user handle, @name or the token after an @.",
    ),
    "f1_by_evidence": (
        "F1 by kind of evidence",
        "What decides the type of an entity, where the corpus says so. It shows which system uses "
        "what.",
    ),
    "f1_by_slice": (
        "F1 with and without a usable image, with and without handles",
        "Tweets whose image can be read or not; tweets with a user handle or without.",
    ),
    "learning_curves": (
        "Learning curves",
        "One line a training. The epoch with the best F1 on valid is the one that is scored on "
        "test, or the last one where the recipe says so.",
    ),
}
"""Name of the figure's files -> title, caption."""

WITHOUT_CURVE = " Runs without a learning curve beside their scores, not drawn: {}."
