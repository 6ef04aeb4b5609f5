"""Questions, and requests to be shown something, turned into statements: rules for English."""

import re

_PLEASE = r"(?:please\s+|can\s+you\s+|could\s+you\s+|i\s+(?:want|would\s+like|need)\s+to\s+)*"
_SHOW = r"(?:show(?:\s+me)?|find(?:\s+me)?|search\s+for|look\s+for|give\s+me|see)\s+"
_MOMENTS = (
    r"(?:(?:all|every|the|any|some)\s+)*(?:moments?|scenes?|clips?|parts?|places?|shots?)\s+"
    r"(?:where|in\s+which|when|of|with|that\s+shows?|showing)\s+"
)
_REQUEST = re.compile(rf"^{_PLEASE}{_SHOW}(?:{_MOMENTS})?|^{_MOMENTS}", re.IGNORECASE)
_QUESTION = re.compile(r"^(?:where|when|at\s+what\s+(?:time|point)|in\s+which\s+\w+)\s+", re.IGNORECASE)
_AUXILIARY = re.compile(r"^(?P<word>does|do|did|is|are|was|were|can|has|have)\s+", re.IGNORECASE)
_WHOEVER = re.compile(r"^who\s+(?=\w+s\b)", re.IGNORECASE)
# Verbs in their plain form, so that the one of "does a man open the door" is found behind its subject.
_VERBS = frozenset(
    """add appear approach arrive ask bake bark begin bite blow boil bounce bow break brush build burn buy
    call carry catch celebrate change chase cheer chop clap clean climb close collide come cook
    cough crash crawl cross cry cut dance deliver dig disappear dive drag draw dress drink drive
    drop eat embrace enter escape examine explain explode fall feed fight fill fix fly fold follow
    get give go grab greet grow hand hang happen hide hit hold hop hug hurt jog jump kick kiss kneel
    knock land laugh lay lead lean leave lie lift light listen load lock look lose make marry
    measure meet mention mix mop move open order pack paint park pass pay pick play plug point pour
    pray press pull punch push put raise reach read receive remove repair rest return ride ring rise
    roll rotate run say score scream see sell send serve shake shave shoot shout show shower sing
    sit skate ski sleep slide slip smile smoke sneeze speak spill spin stand start stay steal step
    stir stop surf sweep swim swing take talk tear tell throw tie touch train travel trip try turn
    type undress use vanish wait wake walk wash watch wave wear weep win wipe work write yell""".split()
)
_PRONOUNS = frozenset("he she it someone somebody something everyone everybody nobody one".split())
_NUMBERS = frozenset("two three four five many several some".split())
_PLURALS = _NUMBERS | frozenset("they we you i people men women children".split())


def statement(text: str, asked: bool = False) -> tuple[str, str]:
    """Return the words that ask, "" where none do, and the text as a statement.

    asked: whether the text ends in a question mark.
    """
    plain = text.strip().rstrip("?").strip()
    if (request := _REQUEST.match(plain)) is not None:
        return request.group().strip(), plain[request.end() :].strip()
    if (question := _QUESTION.match(plain)) is not None:
        rest = plain[question.end() :]
        if (auxiliary := _AUXILIARY.match(rest)) is not None:
            left = rest[auxiliary.end() :]
            words = f"{question.group()}{auxiliary.group()}".strip()
            conjugates = auxiliary["word"].lower() in ("does", "do", "did")
            return words, _conjugated(left) if conjugates else left
        return question.group().strip(), rest
    if asked and (who := _WHOEVER.match(plain)) is not None:
        return who.group().strip(), f"someone {plain[who.end() :]}"
    return "", plain


def _conjugated(text: str) -> str:
    """Conjugate the plain verb behind the subject: "a man open the door" to "a man opens the door"."""
    words = text.split()
    # A subject has a noun at least behind its article: "the light turn on".
    first = 1 if words and words[0].lower() in _PRONOUNS | (_PLURALS - _NUMBERS) else 2
    for place in range(first, len(words)):
        if words[place].lower() in _VERBS:
            if _is_singular(words[:place]):
                words[place] = _third(words[place])
            break
    return " ".join(words)


def _is_singular(subject: list[str]) -> bool:
    first, last = subject[0].lower(), subject[-1].lower()
    if first in _PRONOUNS or first in ("a", "an"):
        return True
    if first in _PLURALS or last in _PLURALS or "and" in subject:
        return False
    return not last.endswith("s") or last.endswith("ss")


def _third(verb: str) -> str:
    """Return the third person singular."""
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{verb}s"
