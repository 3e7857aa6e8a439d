#!/usr/bin/env python3
"""Writes docs/evidence.md and its pictures from the findings of scripts/evidence.sh. A section appears when its files are there.

usage: evidence.py FOLDER DOCS    FOLDER holds seed-N/report.json (discover), SET-ROWS-bBITS-tTEMPERATURE-CONTROL-SEED.json (randbits) and
attributes-DATA-CONTROL-SEED.json (attributes)"""
import pathlib, platform, subprocess, sys

import evidence_attributes
import evidence_bits
import evidence_randbits


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), platform.machine())
    cores = subprocess.run(["nproc"], capture_output=True, text=True).stdout.strip()
    return f"{model}, {cores} cores, {platform.system()}"


folder, docs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
sections = [text for part in (evidence_randbits, evidence_bits, evidence_attributes) if (text := part.section(folder, docs, machine()))]
(docs / "evidence.md").write_text("""# Does it learn the unlearned?

Written by `scripts/evidence.sh` from what its experiments found; do not edit by hand. Every table has the controls that an honest claim
needs: *ensemble*, as many independently seeded stage-0 networks as there are stages, concatenated; *shuffled*, cells of the same
sizes with rows at random. A gain over stage 0 that these have too is not the method's. kNN: 20 neighbours by
cosine; linear: a converged logistic regression on standardised features; NMI: a stage's clusters against the attribute. Probes learn on
the training rows and are judged on rows that were never trained on or clustered. How to choose the number of clusters and
stages for your own data: `choosing.md`.

""" + "\n".join(sections))
