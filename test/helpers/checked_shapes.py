"""How annotations are checked while the tests run: shapes by jaxtyping, all else by beartype."""

from beartype import BeartypeConf, beartype

# An int may stand for a float, as type checkers have it (PEP 484).
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
