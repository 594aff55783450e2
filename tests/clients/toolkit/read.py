"""Prints the units that translate-toolkit reads in a TMX or XLIFF file, and writes those of a TMX file as a PO file too.

read.py FILE.xlf | FILE.tmx PO
"""

import json
import sys

from translate.storage import po, tmx, xliff2


def read(file):
    """Source, target and context of each unit; the context of XLIFF 2 is the name of its unit."""
    if file.endswith(".tmx"):
        store = tmx.tmxfile.parsefile(file)
        return [(unit.source, unit.target, unit.getcontext()) for unit in store.units]
    store = xliff2.Xliff2File.parsefile(file)
    return [(unit.source, unit.target, unit.getunitelement().get("name", "")) for unit in store.units]


def write(units, file):
    """A catalogue as gettext reads it."""
    catalogue = po.pofile()
    catalogue.updateheader(add=True, language="en", content_type="text/plain; charset=UTF-8")
    for source, target, context in units:
        message = catalogue.addsourceunit(source)
        message.target = target
        message.setcontext(context)
    catalogue.savefile(file)


units = read(sys.argv[1])
if len(sys.argv) > 2:
    write(units, sys.argv[2])
print(json.dumps(units))
