"""Mirrored training clips: where a mirror changes what is seen, and which labels it swaps.

A mirror image of "turn left" shows "turn right". `dataset.flip` says what is done: clips are mirrored (true) or not
(false); `auto` mirrors them unless the name of a class is about sides; pairs of classes swap labels with the sides.
"""

import logging
import re
import unicodedata
from collections.abc import Sequence

from pipeline.core import params
from pipeline.core.errors import UserError
from pipeline.core.manifest import Flip

log = logging.getLogger(__name__)

WORDS = {
    "en": """
        left leftward leftwards leftmost lefthand lefthanded right rightward rightwards rightmost righthand
        righthanded clockwise counterclockwise anticlockwise cw ccw acw east eastward eastwards eastbound west
        westward westwards westbound northeast northwest southeast southwest""",
    "de": """
        links linke linker linkes linken linkem linksherum linksrum linkskurve linksabbiegen rechts rechte rechter
        rechtes rechten rechtem rechtsherum rechtsrum rechtskurve rechtsabbiegen uhrzeigersinn gegenuhrzeigersinn
        osten westen""",
    "fr": "gauche gauches droite droites droit horaire antihoraire ouest",
    "es": "izquierda izquierdas izquierdo derecha derechas derecho horario antihorario oeste zurda zurdo",
    "it": "sinistra sinistro destra destro orario antiorario ovest",
    "pt": "esquerda esquerdo direita direito horário antihorário leste oeste",
    "nl": "links linker linksaf linksom rechts rechter rechtsaf rechtsom wijzerzin oosten westen",
    "da no sv": "venstre højre høyre vänster vänstra höger högra medurs moturs",
    "fi": "vasen vasemmalle vasemmalta oikea oikealle oikealta myötäpäivään vastapäivään",
    "pl": "lewo lewy lewa lewe lewej lewą lewego prawo prawy prawa prawe prawej prawą prawego wskazówek",
    "cs sk": """
        vlevo doleva zleva levý levá levou vľavo doľava ľavý ľavá vpravo doprava zprava pravý pravá pravou""",
    "ro": "stânga stanga dreapta",
    "hu": "balra balról jobbra jobbról",
    "tr": "sola soldan solda soldaki sağ sağa sağdan sağda sağdaki",
    "el": "αριστερά αριστερό αριστερός αριστερή δεξιά δεξί δεξιός δεξιόστροφα αριστερόστροφα",
    "ru": """
        влево налево слева левый левая левое левой левую левым левого левша вправо направо справа правый правая
        правое правой правую правым правого правша часовой""",
    "uk": """
        вліво ліворуч наліво лівий ліва лівої ліву вправо праворуч направо правий права правої праву годинниковою""",
    "id ms": "kiri kanan",
}
"""Languages -> words about sides, which class names may hold as whole words."""
PARTS = {
    "zh": "左 右 顺时针 逆时针 順時針 逆時針 向东 向西 向東",
    "ja": "左 右 ひだり みぎ 時計回り 時計まわり",
    "ko": "왼쪽 왼손 왼발 왼팔 좌측 좌회전 오른쪽 오른손 오른발 오른팔 우측 우회전 시계방향",
    "ar fa": "يسار يسرى أيسر يمين يمنى أيمن ساعتگرد",
    "he": "שמאל ימין ימינה",
    "hi": "बाएं बाएँ बायां बायाँ बायीं दाएं दाएँ दायां दायाँ दायीं",
    "th": "ซ้าย ขวา",
    "arrows": "← → ↖ ↗ ↘ ↙ ↺ ↻ ⟲ ⟳ ⬅ ➡",
}
"""Languages -> the same where no space sets words apart, or where they carry others along: any part of a name."""
_WORDS = frozenset(" ".join(WORDS.values()).casefold().split())
_PARTS = frozenset(" ".join(PARTS.values()).casefold().split())
SHOWN = 6
"""Number of class names that a message lists."""


def sided(classes: Sequence[str]) -> list[str]:
    """The class names that are about sides, in their order: "turn left", "SwipeRight", "arm L" beside "arm R"."""
    words = {name: _words(name) for name in classes}
    every = set(words.values())
    return [
        name
        for name, own in words.items()
        if _WORDS.intersection(own) or any(part in _folded(name) for part in _PARTS) or _mirrored(own) in every - {own}
    ]


def resolve(flip: Flip, classes: Sequence[str]) -> Flip:
    """`flip` as it holds for these classes: true, false or pairs, and never auto. What is doubtful is logged.

    Raises:
        UserError: a pair names no class.
    """
    paired = {name for pair in pairs(flip) for name in pair}
    if unknown := sorted(paired - set(classes)):
        raise UserError(f"dataset.flip: {unknown[0]!r} is no class.{params.hint(unknown[0], classes)}")
    found = [name for name in sided(classes) if name not in paired]
    if flip is False or not found:
        return True if flip == "auto" else flip
    names = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    if flip == "auto":
        log.warning(
            "training clips are not mirrored (dataset.flip: auto), since names of classes are about sides: %s. "
            "dataset.flip: [[LEFT ONE, RIGHT ONE], ...] would mirror them and swap these labels.",
            names,
        )
        return False
    log.warning(
        "half of the training clips are mirrored and keep these labels, which are about sides: %s. dataset.flip: false "
        "mirrors none, and [[LEFT ONE, RIGHT ONE], ...] swaps the labels.",
        names,
    )
    return flip


def pairs(flip: Flip) -> tuple[tuple[str, str], ...]:
    """The pairs of classes that a mirror swaps; none where `flip` is no list."""
    return flip if isinstance(flip, tuple) else ()


def rule(flip: Flip) -> tuple[bool, str]:
    """Whether pairs can be swapped, and what is wrong otherwise: a rule for `params.require`."""
    names = [name for pair in pairs(flip) for name in pair]
    twice = sorted({name for name in names if names.count(name) > 1})
    return flip != () and not twice, f"flip: {f'{twice[0]!r} stands in it twice' if twice else 'the list has no pair'}"


def swapped(flip: Flip, classes: Sequence[str]) -> list[int]:
    """For each class, the position of the class whose label a mirrored clip takes from: its partner's, or its own.

    Labels (C,) of a clip become ``labels[swapped]`` in its mirror image.
    """
    partner = {a: b for one, other in pairs(flip) for a, b in ((one, other), (other, one))}
    position = {name: number for number, name in enumerate(classes)}
    return [position[partner.get(name, name)] for name in classes]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _words(name: str) -> tuple[str, ...]:
    """The words of a name, folded: turn_left, turnLeft, TURN-LEFT and "turn left 2" have the same two."""
    letters = unicodedata.normalize("NFC", name)
    apart = "".join(
        f" {letter}" if letter.isupper() and before.islower() else letter
        for before, letter in zip(f" {letters}", letters, strict=False)
    )
    return tuple(re.findall(r"[^\W\d_]+", apart.casefold()))


def _mirrored(words: tuple[str, ...]) -> tuple[str, ...]:
    """The same words with L for R and R for L; a letter that is all of the name is a letter, not a side."""
    return tuple({"l": "r", "r": "l"}.get(word, word) for word in words) if len(words) > 1 else words
