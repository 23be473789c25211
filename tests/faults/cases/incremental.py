"""Small changes of a finished corpus: exactly what they concern is computed, the rest is copied.

Each change follows the one before on the same folder. After each the numbers of computed and copied
items of every feature set are what they must be, and every store and crop has the bytes that a
fresh run gives elsewhere.
"""

import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.incremental_corpus import BOXES, Corpus
from tests.faults.incremental_workspace import FEATURE_SETS, IncrementalWorkspace
from tests.faults.row import Row

NAME = "incremental"

N_IMAGES = 120


@dataclass
class Chain:
    """One folder and the changes made to it."""

    work: IncrementalWorkspace
    rng: random.Random
    shards: int = 2
    rows: list[Row] = field(default_factory=list)
    whole_s: float = 0.0
    """Seconds that the shards and crops of the first run took."""

    @property
    def corpus(self) -> Corpus:
        """What is changed."""
        return self.work.corpus

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.corpus.images)

    def check(self, fault: str, expected: dict[str, tuple[int, int]]) -> None:
        """Run after a change; add the row that compares with what is expected.

        Args:
            fault: the change in words.
            expected: feature set or `crops` -> (computed, copied), of all that may be run.
        """
        self.work.run()
        found, seconds = self.work.counts(), self.work.seconds()
        self.whole_s = self.whole_s or seconds
        surplus = sum(max(0, found[name][0] - expected.get(name, (0, 0))[0]) for name in found)
        problems = [] if found == expected else [f"expected {_in_words(expected)}"]
        fresh = self.work.folder.with_name(f"fresh{len(self.rows)}")
        problems += [f"differs: {name}" for name in self.work.differences(fresh)[:3]]
        if not problems:
            shutil.rmtree(fresh)
        texts = [f"computed+copied: {_in_words(found)}", f"{seconds:.1f} of {self.whole_s:.1f} s"]
        note = "; ".join([*texts, *problems])
        self.rows.append(Row(f"{NAME}: {fault}", 1, surplus, 0 if problems else 1, note))

    def everywhere(self, computed: int, *, crops: int | None = None) -> dict[str, tuple[int, int]]:
        """Return the counts of a change that concerns so many images in every feature set."""
        cut = computed * len(BOXES) if crops is None else crops
        expected = dict.fromkeys(FEATURE_SETS, (computed, self.size - computed))
        return expected | {"crops": (cut, self.size * len(BOXES) - cut)}


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Make each change once; `rounds` has no meaning here."""
    corpus = Corpus(folder / "work")
    corpus.add(N_IMAGES)
    chain = Chain(IncrementalWorkspace(folder / "work", corpus), rng)
    chain.check("first run", chain.everywhere(N_IMAGES))
    for change in (*IN_THE_CORPUS, *IN_THE_CONFIG):
        change(chain)
    return chain.rows


def nothing_changes(chain: Chain) -> None:
    """Nothing is planned."""
    is_idle = "Nothing to be done" in chain.work.run()
    chain.rows.append(Row(f"{NAME}: nothing changed", 1, None, int(is_idle), "no job"))


def images_are_added(chain: Chain) -> None:
    """1 % more, in the first half: the rows after them move, some to the next shard."""
    count = max(1, round(chain.size / 100))
    chain.corpus.add(count, at=chain.rng.randrange(chain.size // 2))
    chain.check("1 % images added", chain.everywhere(count))


def an_image_changes(chain: Chain) -> None:
    """Other bytes under the same name."""
    chain.corpus.change(chain.rng.choice(list(chain.corpus.images)))
    chain.check("bytes of an image changed", chain.everywhere(1))


def an_image_is_renamed(chain: Chain) -> None:
    """No row is computed; its crops are named after it."""
    chain.corpus.rename(chain.rng.choice(list(chain.corpus.images)))
    chain.check("image renamed", chain.everywhere(0, crops=len(BOXES)))


def images_are_removed(chain: Chain) -> None:
    """What is left is copied, and the crops of the others are gone."""
    chain.corpus.remove(chain.rng.sample(list(chain.corpus.images), 5))
    chain.check("5 images removed", chain.everywhere(0))


def shards_change(chain: Chain) -> None:
    """The rows move between shards."""
    chain.shards = 3
    chain.work.workspace.overlay({"shards": chain.shards})
    # The stores are merged anew, so crops are looked at again.
    chain.check("shards 2 -> 3", chain.everywhere(0))


def an_option_changes(chain: Chain) -> None:
    """Of one extractor; the other feature sets are not even merged."""
    chain.work.workspace.overlay({"feature_sets": {"noise": {"options": {"seed": 5}}}})
    chain.check("option of `noise` changed", {"noise": (chain.size, 0)})


def the_code_changes(chain: Chain) -> None:
    """VERSION of one extractor is raised."""
    module = chain.work.code / "extract/extractors/pixels.py"
    text = module.read_text(encoding="utf-8")
    text, count = re.subn(r"(?m)^VERSION = (\d+)$", r"VERSION = 1\1", text)
    if count != 1:
        raise ValueError(f"{module}: expected one line `VERSION = <number>`, got {count}")
    module.write_text(text, encoding="utf-8")
    chain.check("VERSION of pixels raised", {"cuts": (chain.size, 0)})


def the_weights_change(chain: Chain) -> None:
    """Other numbers in the tower of one feature set."""
    chain.work.workspace.overlay({"weights": {"tower": {"random": {"seed": 2}}}})
    chain.check("weights of `tower` changed", {"tower": (chain.size, 0)})


def shards_change_before_the_merge(chain: Chain) -> None:
    """A run ends with finished shards of an option that no merged store has; then images come."""
    chain.work.workspace.overlay({"feature_sets": {"noise": {"options": {"seed": 6}}}})
    shards = [f"results/made/shards/noise.{k}-of-{chain.shards}.h5" for k in (1, 2)]
    chain.work.run(*shards)
    done = chain.work.counts()["noise"][0]
    chain.shards = 2
    chain.work.workspace.overlay({"shards": chain.shards})
    chain.corpus.add(1)
    expected = chain.everywhere(1) | {"noise": (chain.size - done, done)}
    chain.check("shards 3 -> 2 and an image added before the merge", expected)


IN_THE_CORPUS: tuple[Callable[[Chain], None], ...] = (
    nothing_changes,
    images_are_added,
    an_image_changes,
    an_image_is_renamed,
    images_are_removed,
)
IN_THE_CONFIG: tuple[Callable[[Chain], None], ...] = (
    shards_change,
    an_option_changes,
    the_code_changes,
    the_weights_change,
    shards_change_before_the_merge,
)


def _in_words(counts: dict[str, tuple[int, int]]) -> str:
    order = (*FEATURE_SETS, "crops")
    return ", ".join(
        f"{name} {counts[name][0]}+{counts[name][1]}" for name in order if name in counts
    )
