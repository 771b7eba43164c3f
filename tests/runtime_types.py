"""The type checker that pytest puts around every function of the packages."""

from beartype import BeartypeConf, beartype

# The numeric tower, since an int will do where a float is asked for.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
