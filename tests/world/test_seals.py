"""Sealed text is read as it was written, or not at all."""

import hashlib
import json

import hypothesis
import pytest
from hypothesis import strategies as st

from gd_jax.world import files
from gd_jax.world import seals
from tests import damage

BODIES = st.dictionaries(
  st.text(max_size=5),
  st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
      st.lists(inner, max_size=3)
      | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
  ),
  min_size=1,
  max_size=4,
).filter(lambda body: 'sha256' not in body)


@hypothesis.given(BODIES, damage.DAMAGES)
@hypothesis.settings(
  derandomize=True, deadline=None, max_examples=200, database=None
)
def test_what_was_sealed_comes_back_and_nothing_else(body, harm):
  data = seals.sealed(body)
  assert data == seals.seal(files.json_bytes(body, 'it'))
  assert seals.unsealed(data) == body
  assert json.loads(data) == body | {'sha256': json.loads(data)['sha256']}
  with pytest.raises(ValueError, match=r'not as it was|no JSON'):
    seals.unsealed(damage.done(data, harm))


@pytest.mark.parametrize(
  'text',
  [
    '',
    '[]',
    '7',
    '{}',
    '{"sha256": null}',
    '{"a": 1}',
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": ' + '9' * 5000 + '}',
    '{"format": ' + '[' * 10**5,
    '{"format": ' + '[' * 1200 + ']' * 1200 + '}',
    '{"a": 1, "a": 1}',
  ],
)
def test_what_was_never_sealed_is_none(text):
  with pytest.raises(ValueError, match=r'not as it was|no JSON'):
    seals.unsealed(text.encode())


@pytest.mark.parametrize(
  ('text', 'said'),
  [
    ('[]', 'it is no JSON object'),
    ('{"format": 2}', 'it is not as it was written (format 2)'),
    ('{"format": "2"}', 'it is not as it was written'),
  ],
)
def test_what_is_not_sealed_says_its_format(tmp_path, text, said):
  file = tmp_path / '1.json'
  file.write_text(text)
  with pytest.raises(ValueError) as error:
    seals.unsealed(text.encode())
  assert str(error.value) == said
  with pytest.raises(ValueError) as error:
    seals.opened(file)
  assert str(error.value) == f'its manifest is damaged: {said}'


def test_a_seal_is_the_last_entry_of_its_text():
  body = {'a': 1, 'b': [True]}
  text = b'{\n "a": 1,\n "b": [\n  true\n ]\n}'
  digest = hashlib.sha256(text).hexdigest()
  assert seals.sha256(text) == digest
  sealed = text[:-2] + f',\n "sha256": "{digest}"\n}}\n'.encode()
  assert seals.sealed(body) == sealed
  assert seals.seal(text) == seals.seal(text + b'\n') == sealed
