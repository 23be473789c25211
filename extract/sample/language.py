"""The tweets' language: frames with a hole for the names, and what surrounds them.

A typed frame tells the type of what fills it; a neutral frame fits all four types equally.
Frames are lower case, so that names are the only capitalised words besides `RT`.
"""

ENTITY_TYPES = ("PER", "LOC", "ORG", "MISC")
EVIDENCE = ("words", "picture", "ocr")

# Frames are token lists in one string; `{}` is one name or two joined by CONJUNCTIONS.
NEUTRAL_FRAMES = (
    "look , {} again",
    "look at {} today",
    "so this is {}",
    "{} just made my day",
    "cannot stop thinking about {}",
    "everybody is talking about {}",
    "more {} please",
    "we really need {} right now",
    "never heard of {} before",
    "my photo of {} from yesterday",
    "what do you think of {} ?",
    "no words for {}",
    "still in love with {}",
    "who else knows {} ?",
    "i had no idea about {}",
    "thinking of {} this morning",
    "this reminds me of {}",
    "here is {} again for you",
    "can you believe {} ?",
    "it is all about {} tonight",
    "so much drama around {}",
    "please tell me more about {}",
    "you all forgot {}",
    "nothing beats {}",
    "not sure what to say about {}",
    "this is why i like {}",
    "one more picture of {}",
    "i finally understand {}",
    "my little drawing of {}",
    "thank you for {}",
    "another day , another {}",
    "do not forget {} tomorrow",
)

TYPED_FRAMES = {
    "PER": (
        "just met {} backstage , what a kind smile",
        "happy birthday {} , have a great party",
        "{} sang and danced all night",
        "{} told me a joke and laughed",
        "{} got married yesterday , congratulations",
        "interview with {} about childhood and acting",
        "had dinner with my friend {}",
        "{} scored twice and hugged the coach",
        "{} wrote me a letter",
        "my teacher {} retires today",
    ),
    "LOC": (
        "flying into {} tonight",
        "heavy rain and traffic in {}",
        "road trip to {} this weekend",
        "we got lost in the streets of {}",
        "just landed in {} , warm weather",
        "the river near {} flooded again",
        "moving to {} next month",
        "the airport of {} is closed",
        "hiking in the hills around {}",
        "the train from {} was late again",
    ),
    "ORG": (
        "shares of {} fell again",
        "{} hired a new chief executive",
        "got a job at {}",
        "{} reported record profits",
        "the board of {} approved the merger",
        "customers of {} want a refund",
        "workers at {} went on strike",
        "{} announced layoffs at the headquarters",
        "lawyers sued {} over tax",
        "{} opened a new branch and cut prices",
    ),
    "MISC": (
        "watched the finale of {}",
        "the new album {} is out now",
        "{} won best film at the festival",
        "season two of {} was better",
        "binge watching {} with popcorn",
        "just finished reading {} , great plot",
        "downloaded {} and played until level nine",
        "the soundtrack of {} is amazing",
        "the trailer of {} has spoilers",
        "{} premiered in cinemas",
    ),
}

# Seen only in test: a reader must know what the words mean, not only have met the frame.
TEST_FRAMES = {
    "PER": ("{} broke an ankle in training", "my neighbour {} is a retired doctor"),
    "LOC": ("a cottage just outside {} for the summer", "driving across {} before sunset"),
    "ORG": ("investors in {} met the auditors", "my internship with {} starts monday"),
    "MISC": ("the remake of {} streams on friday", "chapter nine of {} made me cry"),
}

CONJUNCTIONS = ("and", "&", ",")

OPENERS = ("omg", "wow ,", "lol ,", "ok so", "guys ,", "honestly ,", "hey", "well ,")
HASHTAGS = ("#monday", "#mood", "#nofilter", "#goals", "#tbt", "#love", "#news", "#wow", "#fun")
CLOSERS = ("!", "!!", "...", ".", ":)", "haha", "😂", "❤")


def reserved_words() -> set[str]:
    """Return every lower-case word of the frames and their surroundings."""
    frames = [*NEUTRAL_FRAMES, *OPENERS, *CLOSERS]
    for by_type in (TYPED_FRAMES, TEST_FRAMES):
        for group in by_type.values():
            frames.extend(group)
    words = {word for frame in frames for word in frame.split()}
    return words | {tag.removeprefix("#") for tag in HASHTAGS}
