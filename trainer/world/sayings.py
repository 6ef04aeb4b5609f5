"""Vocabulary of the profiles with texts: German, what is written on the screen, and questions."""

from typing import NamedTuple

from trainer.world.themes import Asked

# German names have no English namesakes: an English query has no answer in German by accident.
GERMAN: dict[str, dict[str, str]] = {
    "person": {name: name for name in ("Jürgen", "Heike", "Björn", "Käthe", "Günther", "Anneliese")},
    "place": {
        "Bäckerei": "bakery",
        "Werkstatt": "workshop",
        "Apotheke": "pharmacy",
        "Kirche": "church",
        "Schule": "classroom",
    },
    "mood": {
        "fröhlich": "cheerful",
        "wütend": "furious",
        "neugierig": "curious",
        "einsam": "lonely",
        "krank": "sick",
    },
    "topic": {
        "Politik": "politics",
        "Schach": "chess",
        "Mode": "fashion",
        "Gemüse": "vegetables",
        "Vögel": "birds",
    },
}


class Saying(NamedTuple):
    """Facts that a German line carries, the line, and how German (statement, question) asks for it."""

    kinds: tuple[str, ...]
    lines: tuple[str, ...]
    asked: Asked


SAYINGS: tuple[Saying, ...] = (
    Saying(
        ("person", "place"),
        ("{person} ist schon wieder in der {place}", "willkommen, dies ist die {place} von {person}"),
        ("jemand spricht von {person} und der {place}", "wo spricht jemand von {person} und der {place}?"),
    ),
    Saying(
        ("person", "mood"),
        ("{person} sieht heute so {mood} aus", "so {mood} habe ich {person} noch nie gesehen"),
        ("jemand sagt, dass {person} {mood} ist", "wo sagt jemand, dass {person} {mood} ist?"),
    ),
    Saying(
        ("topic",),
        ("reden wir einen Moment lang über {topic}", "und damit kommen wir zum Thema {topic}"),
        ("es geht um {topic}", "wo geht es um {topic}?"),
    ),
    Saying(
        ("place", "mood"),
        ("hier in der {place} fühlt man sich {mood}", "alle sind {mood} in der {place}"),
        ("jemand nennt die {place} {mood}", "wo nennt jemand die {place} {mood}?"),
    ),
)
GERMAN_FILLERS = ("na, mal sehen, was jetzt kommt", "hm, hier passiert nicht viel", "so, wo waren wir gerade")

PLATE_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
# Words that no dictionary spells so.
ODD_WORDS = ("Kwik", "Krispy", "Nite", "Phat", "Xtra", "Klassic", "Dreem", "Lux", "Mistik", "Frenz")
SHOPS = ("Kafe", "Donutz", "Fotoz", "Nailz", "Bykes", "Flowerz", "Shooz", "Buks")
TITLES = (
    "Annual report",
    "Budget plan",
    "Road works",
    "Market prices",
    "Winter menu",
    "Safety rules",
    "Bus timetable",
    "Exhibition",
    "Staff meeting",
    "Test results",
)
YEARS = tuple(range(1987, 2027))

# What asks for what is written: by the kind of fact.
WRITTEN: dict[str, tuple[Asked, ...]] = {
    "code": (
        ("the number plate {}", "where is the number plate {}?"),
        ("{} can be read", "where can {} be read?"),
    ),
    "half": (("a number plate with {}", "where is a number plate with {}?"),),
    "sign": (
        ("a sign says {}", "where does a sign say {}?"),
        ("the name {} is written there", "where is the name {} written?"),
    ),
    "slide": (
        ("a slide about the {}", "where is a slide about the {}?"),
        ("the words {} are on the screen", "where are the words {} on the screen?"),
    ),
}
# How the reports of what is said become questions.
REPORTED: dict[str, str] = {
    "we hear": "where do we hear",
    "someone mentions": "where does someone mention",
    "someone says": "where does someone say",
    "someone talks": "where does someone talk",
    "someone calls": "where does someone call",
    "the part about": "where is the part about",
}
