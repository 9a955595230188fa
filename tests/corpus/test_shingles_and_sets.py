"""What the two small parts promise by which texts are compared and gathered."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from arasuji.corpus.sets import DisjointSets
from arasuji.corpus.shingles import shingles


@given(words=st.lists(st.text(max_size=2), max_size=12), size=st.integers(1, 14))
def test_shingles_are_all_runs_of_so_many_words_in_order(words, size):
    assert list(shingles(words, size)) == [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


@settings(derandomize=True)
@given(size=st.integers(1, 12), data=st.data())
def test_members_are_in_one_set_if_joins_connect_them_and_its_least_member_names_it(size, data):
    member = st.integers(0, size - 1)
    joins = data.draw(st.lists(st.tuples(member, member), max_size=12))
    sets, groups = DisjointSets(size), [{i} for i in range(size)]
    for one, other in joins:
        sets.join(one, other)
        whole = groups[one] | groups[other]
        for i in whole:
            groups[i] = whole
    assert [sets.least(i) for i in range(size)] == [min(group) for group in groups]
