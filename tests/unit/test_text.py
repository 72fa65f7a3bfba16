from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.core.text import clean_text, normal_form, normal_label

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202c\u2066\u2069\ufe0f\x00\x07"


@given(st.text())
def test_a_normal_form_has_none_other(name: str) -> None:
    assert normal_form(normal_form(name)) == normal_form(name)
    assert normal_label(normal_label(name)) == normal_label(name)
    assert normal_label(name) == normal_label(normal_form(name))


@given(st.text(st.characters(max_codepoint=0x24F, categories=("L", "N", "P", "Zs"))), st.sampled_from(("NFC", "NFD")))
def test_every_unicode_form_is_one_name(name: str, form: str) -> None:
    assert normal_form(unicodedata.normalize(form, name)) == normal_form(name)  # type: ignore[arg-type]
    assert normal_label(unicodedata.normalize(form, f" {name}\u3000")) == normal_label(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", INVISIBLE)
@pytest.mark.parametrize("name", ["joy", "Über", "sehr froh", "Δύο", "радость"])
def test_invisible_signs_make_no_other_name(name: str, sign: str) -> None:
    for place in range(len(name) + 1):
        assert normal_form(name[:place] + sign + name[place:]) == name


@pytest.mark.parametrize("name", ["می\u200cشود", "क्\u200dष", "👩\u200d🎤", "ความสุข", "खुशी", "喜び", "😀"])
def test_joiners_stay_where_a_script_needs_them(name: str) -> None:
    assert normal_label(name) == name


@pytest.mark.parametrize(("text", "clean"), [("won\u00adder\u200bful!", "wonderful"), ("\ufeffHi\u2060 you", "hi you")])
def test_invisible_signs_tear_no_word(text: str, clean: str) -> None:
    assert clean_text(text) == clean
