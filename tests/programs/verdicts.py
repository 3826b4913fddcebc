# The verdicts of a module of Python's own tests: verdicts.py MODULE FILE writes "name TAB verdict" a line into FILE.
# They are taken where they are given, since what the tests print is mixed with what unittest prints. A test with parts has
# the worst verdict of them.
import os
import sys
import unittest


class Result(unittest.TextTestResult):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.verdicts = {}

    def note(self, test, verdict):
        name = getattr(test, "test_case", test).id()
        if self.verdicts.get(name, "ok") in ("ok", "skipped"):
            self.verdicts[name] = verdict

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "ok")

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, "error")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "failed")

    def addSubTest(self, test, part, error):
        super().addSubTest(test, part, error)
        if error is not None:
            self.note(test, "failed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped")

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self.note(test, "failed as expected")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "passed against expectation")


def main():
    module, file = sys.argv[1], os.path.abspath(sys.argv[2])
    del sys.argv[1:]
    # As python -m unittest does: what the tests load lies where they run, and not beside this file.
    sys.path[0] = os.getcwd()
    tests = unittest.defaultTestLoader.loadTestsFromName(module)
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(tests)
    with open(file, "w", encoding="utf-8") as out:
        for name, verdict in sorted(result.verdicts.items()):
            out.write(f"{name}\t{verdict}\n")


if __name__ == "__main__":
    main()
