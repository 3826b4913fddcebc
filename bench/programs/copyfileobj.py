"""copyfileobj.py SOURCE COPY: as most Python programs copy a stream."""
import shutil
import sys

with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as copy:
    shutil.copyfileobj(source, copy)
