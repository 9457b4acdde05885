"""A fit that fails leaves a cascade as it was, and says what failed."""

TABLE = "CASES"


def test_fault(fault_case, check, faults):
    faults.CHECKS[check](fault_case)
