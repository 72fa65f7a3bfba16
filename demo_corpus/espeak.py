"""Speech by the espeak-ng library of the `espeakng-loader` package, through ctypes.

espeak-ng is GPL-3.0 and an extra of the corpus stage alone; nothing that is served imports this module.
"""

from __future__ import annotations

import ctypes
import importlib.util
from _ctypes import dlclose
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import EmofuseError

SAMPLE_RATE = 22050
"""Hz, fixed by espeak-ng."""

# Constants of espeak-ng's speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Delivery:
    """How to say a line. Rate in words a minute; pitch and its range on espeak-ng's scale of 0 to 100."""

    voice: str
    rate: int
    pitch: int
    pitch_range: int


def require_espeak() -> None:
    """Check that espeak-ng can be loaded.

    Raises:
        EmofuseError: the package `espeakng-loader` is not installed.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise EmofuseError(
            "the built-in corpus needs espeak-ng for its voices and found no package espeakng_loader; "
            "run: pip install '.[corpus]'"
        )


def speak(text: str, delivery: Delivery) -> NDArray[np.int16]:
    """Synthesise a sentence: mono, `SAMPLE_RATE`.

    The library is unloaded after each sentence: it keeps the phase of its pitch flutter from one sentence to the next,
    so that otherwise a sentence would sound a little different after each other sentence.

    Raises:
        EmofuseError: espeak-ng is not installed, does not know the voice, or gives no sound.
    """
    require_espeak()
    import espeakng_loader

    chunks: list[NDArray[np.int16]] = []

    def _receive(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        return 0

    callback = _CALLBACK(_receive)
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(delivery.voice.encode()) != 0:
            raise EmofuseError(f"espeak-ng has no voice {delivery.voice!r}; is the installed espeakng-loader complete?")
        for parameter, value in ((_RATE, delivery.rate), (_PITCH, delivery.pitch), (_RANGE, delivery.pitch_range)):
            library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        library.espeak_Synchronize()
        library.espeak_Terminate()
    finally:
        dlclose(library._handle)
    if not chunks:
        raise EmofuseError(f"espeak-ng gave no sound for {text!r} with the voice {delivery.voice!r}")
    return np.concatenate(chunks)
