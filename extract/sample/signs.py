"""What is written in images: short phrases that tell a type by meaning, and neutral lines.

A phrase holds neither the name of its type nor an entity. `#` stands for a random digit.
"""

PHRASES = {
    "PER": (
        "happy birthday",
        "date of birth",
        "fan club president",
        "meet the author",
        "lead singer",
        "team captain",
        "doctor",
        "best actress",
        "my dad",
        "professor",
        "mother and son",
        "wedding day",
    ),
    "LOC": (
        "city limits",
        "population #7##",
        "next exit",
        "tourist map",
        "train station",
        "visitor centre",
        "north coast",
        "national park",
        "beach access",
        "old town",
        "county line",
        "airport",
    ),
    "ORG": (
        "annual report",
        "head office",
        "we are hiring",
        "board meeting",
        "customer service",
        "founded 18##",
        "sales team",
        "profit up",
        "job fair",
        "press release",
        "join the union",
        "company news",
    ),
    "MISC": (
        "season finale",
        "box office",
        "world tour",
        "new album",
        "episode #",
        "official trailer",
        "chapter one",
        "film festival",
        "free download",
        "best picture",
        "soundtrack",
        "limited edition",
    ),
}

# Seen only in test, as synonyms and neighbours of the phrases above.
TEST_PHRASES = {
    "PER": ("grandmother", "head coach", "aged 4#", "artist portrait"),
    "LOC": ("street map", "river walk", "village centre", "mountain pass"),
    "ORG": ("staff only", "trade union", "quarterly profit", "corporate office"),
    "MISC": ("the sequel", "final episode", "movie premiere", "concert tickets"),
}

NEUTRAL_LINES = ("hello", "thank you", "today", "good morning", "read more", "new", "at last")

# What the tower's drawings have written on them: no phrase of any type.
TOWER_WORDS = ("alpha", "green", "seven", "maybe", "under", "quick", "table", "since", "often")
