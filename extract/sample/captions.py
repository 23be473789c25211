"""Captions: type-independent templates over the nouns of what is drawn.

Each drawn kind has three nouns. The third occurs only in test, so a reader of captions must know
what a noun means and cannot only look it up.
"""

NOUNS = {
    # Kinds whose drawing decides the type.
    "portrait": ("face", "woman", "lady"),
    "dancer": ("dancer", "ballerina", "gymnast"),
    "runner": ("runner", "athlete", "jogger"),
    "singer": ("singer", "vocalist", "musician"),
    "cook": ("cook", "chef", "baker"),
    "graduate": ("graduate", "student", "teacher"),
    "skyline": ("skyline", "town", "downtown"),
    "mountain": ("mountain", "hill", "valley"),
    "bridge": ("bridge", "river", "canal"),
    "island": ("island", "beach", "coast"),
    "lighthouse": ("lighthouse", "harbour", "bay"),
    "road": ("road", "highway", "boulevard"),
    "shield": ("emblem", "crest", "logo"),
    "factory": ("factory", "warehouse", "refinery"),
    "office": ("office", "bureau", "boardroom"),
    "bank": ("bank", "courthouse", "parliament"),
    "truck": ("truck", "van", "lorry"),
    "shop": ("shop", "supermarket", "pharmacy"),
    "trophy": ("trophy", "medal", "award"),
    "clapper": ("clapperboard", "camera", "projector"),
    "ticket": ("ticket", "coupon", "voucher"),
    "guitar": ("guitar", "ukulele", "banjo"),
    "rocket": ("rocket", "spaceship", "missile"),
    "book": ("book", "novel", "magazine"),
    # Kinds that say nothing of a type.
    "tree": ("tree", "bush", "shrub"),
    "flower": ("flower", "daisy", "tulip"),
    "balloon": ("balloon", "bubble", "ball"),
    "cup": ("cup", "mug", "teapot"),
    "chair": ("chair", "stool", "bench"),
    "umbrella": ("umbrella", "parasol", "tent"),
    "lamp": ("lamp", "lantern", "candle"),
    "fish": ("fish", "goldfish", "carp"),
    "sign": ("sign", "board", "poster"),
}
"""Drawn kind -> (noun, noun, noun of the test split only)."""

KINDS_OF_TYPE = {
    "PER": ("portrait", "dancer", "runner", "singer", "cook", "graduate"),
    "LOC": ("skyline", "mountain", "bridge", "island", "lighthouse", "road"),
    "ORG": ("shield", "factory", "office", "bank", "truck", "shop"),
    "MISC": ("trophy", "clapper", "ticket", "guitar", "rocket", "book"),
}
NEUTRAL_KINDS = ("tree", "flower", "balloon", "cup", "chair", "umbrella", "lamp", "fish")
SIGN = "sign"
KINDS = (*(kind for kinds in KINDS_OF_TYPE.values() for kind in kinds), *NEUTRAL_KINDS, SIGN)

# {main}: the noun or two nouns of the objects; {colour}: of the background; {extra}: of a clutter.
TEMPLATES = (
    "a drawing of {main} on a {colour} background",
    "{main} in front of a {colour} wall",
    "a {colour} picture with {main} next to {extra}",
    "{main} and {extra} on {colour} paper",
    "a simple cartoon of {main}",
    "a close up of {main} with {extra} in the corner",
    "there is {main} near {extra}",
)


def with_article(noun: str) -> str:
    """Return `a noun` or `an noun`."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
