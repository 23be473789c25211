"""Tweet tokens -> words: what is left out, what is one word, and whose tag is known."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from extract.phrases.closed_classes import known_tag
from extract.phrases.tweets import NO_PHRASE, Word, tweet_words


def words_of(text: str, **options) -> list[Word]:
    return tweet_words(text.split(" "), **options)


def pieces(text: str, **options) -> list[str]:
    """Return the words of each group joined by spaces, the groups in order."""
    groups: dict[int, list[str]] = {}
    for word in words_of(text, **options):
        if word.group != NO_PHRASE:
            groups.setdefault(word.group, []).append(word.text)
    return [" ".join(words) for words in groups.values()]


def heard(text: str) -> list[str]:
    """Return all that the tagger sees."""
    return [word.text for word in words_of(text)]


@pytest.mark.parametrize(
    ("tweet", "expected"),
    [
        # Links, whole, cut off by Twitter, or cut up by a tokeniser.
        ("ball http://t.co/x cat", ["ball", "cat"]),
        ("ball http://t.co/x&lt;-dog cat", ["ball", "cat"]),
        ("ball www.a.org cat pic.twitter.com/b", ["ball", "cat"]),
        ("ball h…", ["ball"]),
        ("ball htt… cat https:/… dog http", ["ball", "cat", "dog"]),
        ("ball https : //t . co/Ab1Cd2Ef3G cat", ["ball", "cat"]),
        ("ball http :", ["ball"]),
        ("tea / coffee // ball", ["tea", "coffee", "ball"]),
        # Emoji, emoticons, arrows, hearts.
        ("ball 💞 ⚾ ️ cat", ["ball", "cat"]),
        ("ball🏀 cat", ["ball", "cat"]),
        ("ball :D cat :-P dog <3 fish ;) bird", ["ball", "cat", "dog", "fish", "bird"]),
        ("ball --&gt ; cat &lt;3", ["ball", "cat"]),
        # HTML entities: whole, cut up, glued to a word.
        ("cat &amp; dog", ["cat", "dog"]),
        ("cat &amp ; dog", ["cat", "dog"]),
        ("cat & amp ; dog", ["cat", "dog"]),
        ("cat & dog", ["cat", "dog"]),
        ("cat & gt ; dog &lt; fish &quot; bird", ["cat", "dog", "fish", "bird"]),
        ("cat&amp ; dog", ["cat", "dog"]),
        ("R&amp;D lab AT&T tower", ["R&D lab AT&T tower"]),
        ("guitar amp shop", ["guitar amp shop"]),
        # Retweets: mark and source, also when the handle is cut up.
        ("RT @some_user : ball", ["ball"]),
        ("RT @ some_user : ball", ["ball"]),
        ("RT @The _ Daily _ : ball", ["ball"]),
        ("RT @ _ daily : ball", ["ball"]),
        ("RT@daily ball", ["ball"]),
        ("MT @daily : ball , MT coast", ["ball", "MT coast"]),
        ("please RT for luck", ["please", "for luck"]),
        ("ask me@mail for it", ["ask", "for it"]),
        # Handles and hashtags, whole or cut up.
        ("cat @KingJames ball", ["cat", "KingJames", "ball"]),
        ("cat @ KingJames ball", ["cat", "KingJames", "ball"]),
        ("cat @Tin _ Man _ 7 ball", ["cat", "Tin_Man_7", "ball"]),
        ('"@daily: (@weekly) cat', ["daily", "weekly", "cat"]),
        ("ball #NBA finals", ["ball", "NBA finals"]),
        ("ball # NBA finals", ["ball", "NBA finals"]),
        ("#Tin _ Man ball", ["Tin_Man ball"]),
        ("@ #", []),
        # Initials, titles, names with O', ordinals.
        ("J . K . Doe reads", ["J.K. Doe reads"]),
        ("poet Ann B . Doe", ["poet Ann B. Doe"]),
        ("the U . S . team", ["the U.S. team"]),
        ("the U . S team", ["the U.S team"]),
        ("vitamin C .", ["vitamin C"]),
        ("so am I . Dogs too", ["so am I", "Dogs too"]),
        ("with Dr . Doe and Mrs . Roe", ["with Dr. Doe and Mrs. Roe"]),
        ("from St . Ives", ["from St. Ives"]),
        ("on Main St .", ["on Main St"]),
        ("Tim O ' Toole sings", ["Tim O'Toole sings"]),
        ("the 4 th race", ["the 4th race"]),
        # Contractions and possessives end a phrase; quotes, brackets and commas in a token too.
        ("we don ' t know", ["we", "know"]),
        ("Ann ’ s dog", ["Ann", "dog"]),
        ("Ann's dog", ["Ann", "dog"]),
        ("big dog, cat (red) fish \"bird\"", ["big dog", "cat", "red", "fish", "bird"]),
        ("pop-up -shop's bar", ["pop-up shop", "bar"]),
        ('"ball… (cat) $100 u', ["ball", "cat", "$100 u"]),
    ],
)  # fmt: skip
def test_words_and_groups(tweet, expected):
    assert pieces(tweet) == expected


def test_handles_can_be_left_out():
    assert pieces("cat @KingJames ball @ nba", handles=False) == ["cat", "ball"]


@pytest.mark.parametrize(
    ("tweet", "expected"),
    [
        ("we don ' t , Ann ' s !", ["we", "do", "n't", ",", "Ann", "'s", "!"]),
        ("can ’ t won ' t ain ' T", ["ca", "n't", "wo", "n't", "ai", "n't"]),
        ("cat &amp ; dog", ["cat", "&", "dog"]),
        ("RT @a : cat http://x 💞", [":", "cat"]),
    ],
)
def test_taggers_see_what_they_were_trained_on(tweet, expected):
    assert heard(tweet) == expected


def test_tokens_of_a_word():
    words = words_of("RT @a _ b : # NBA @ Tin _ Man U . S . 4 th don ' t &amp ; x")
    assert [(word.text, word.start, word.end) for word in words] == [
        (":", 4, 5),
        ("NBA", 6, 7),
        ("Tin_Man", 8, 11),
        ("U.S.", 11, 15),
        ("4th", 15, 17),
        ("do", 17, 18),
        ("n't", 18, 20),
        ("&", 20, 22),
        ("x", 22, 23),
    ]


def test_names_and_ordinals_have_their_tag():
    words = words_of("cat #running @ jump Dr . Doe 4 th R . I . P .")
    assert [(word.text, word.tag) for word in words] == [
        ("cat", None),
        ("running", "NNP"),
        ("jump", "NNP"),
        ("Dr.", "NNP"),
        ("Doe", None),
        ("4th", "JJ"),
        ("R.I.P.", "UH"),
    ]


SPECIAL = (
    "RT MT @ # _ __ @a #b & &amp &amp; amp gt ; : . ' ’ n't t T s S D O A I J can don http https "
    "//t co/x http://a … 💞 :D <3 Dr Mr 4 th st p m a Ann dog, (cat) \"x a@b -&gt Ann's // - ? ''"
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(SPECIAL.split(" ")), st.text(max_size=4)), max_size=12))
def test_words_stand_for_tokens_in_order(tokens):
    for handles in (True, False):
        words = tweet_words(tokens, handles=handles)
        end = 0
        for word in words:
            assert end <= word.start < word.end <= len(tokens)
            assert word.text and (word.group >= 0 or word.group == NO_PHRASE)
            end = word.end
        groups = [word.group for word in words if word.group != NO_PHRASE]
        assert groups == sorted(groups)


@pytest.mark.parametrize(
    ("word", "tag"),
    [
        ("THE", "DT"),
        ("The", "DT"),
        ("the", None),  # in small letters a tagger knows it
        ("Are", "VB"),
        ("GONNA", "VB"),
        ("lol", "UH"),
        ("Everyone", "PRP"),
        ("via", "IN"),
        ("vs", "IN"),
        ("today", "RB"),
        ("Today", None),
        ("u", "PRP"),
        ("U", None),
        ("It", "PRP"),
        ("IT", None),
        ("US", None),
        ("A", None),
        ("7pm", "RB"),
        ("10:30AM", "RB"),
        ("p.m.", "RB"),
        ("doesn't", "VB"),
        ("cat", None),
    ],
)
def test_tags_known_whatever_a_tagger_says(word, tag):
    assert known_tag(word) == tag
