"""Counts of UMT's copies of Twitter-2015 and Twitter-2017."""

TYPES = ("PER", "LOC", "ORG", "MISC")

# corpus, split, tweets, tokens, entities, by type, B- tags, invalid I-, share without entity (%)
COUNTS = [
    ("twitter2015", "train", 4000, 64439, 6352, (2285, 2135, 957, 975), 6166, 186, 2.6),
    ("twitter2015", "valid", 1000, 16178, 1594, (567, 543, 251, 233), 1541, 53, 3.1),
    ("twitter2015", "test", 3257, 52822, 5207, (1873, 1720, 860, 754), 5072, 135, 2.7),
    ("twitter2017", "train", 3373, 53007, 6049, (2943, 731, 1674, 701), 6049, 0, 11.6),
    ("twitter2017", "valid", 723, 11309, 1324, (626, 173, 375, 150), 1324, 0, 10.5),
    ("twitter2017", "test", 723, 11330, 1351, (621, 178, 395, 157), 1351, 0, 11.9),
]
