"""One flipped bit, or a file cut short: what Hypothesis draws."""

from hypothesis import strategies as st

# Where in the file, and which bit is flipped there; None cuts the file there.
DAMAGES = st.tuples(
  st.integers(0, 10**9), st.sampled_from([None, None, *range(8)])
)


def done(data: bytes, harm: tuple[int, int | None]) -> bytes:
  """The data with that damage; never the same data."""
  place, bit = harm
  place %= len(data)
  if bit is None:
    return data[:place]
  flipped = bytes([data[place] ^ 1 << bit])
  return data[:place] + flipped + data[place + 1 :]
