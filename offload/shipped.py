"""Where the shipped data lies."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
# In a wheel the data lies inside the package, in a checkout beside it.
DATA = _HERE / "data" if (_HERE / "data").is_dir() else _HERE.parent / "data"
