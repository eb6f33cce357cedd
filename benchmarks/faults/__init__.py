"""Faults: kills, full disks, damaged files; what comes of them is counted."""
