#!/usr/bin/env python3
"""Writes docs/evidence.md and its pictures from the findings of scripts/evidence.sh. A section appears when its files are there.

usage: evidence.py FOLDER DOCS    FOLDER holds discover-SEED.json, SET-ROWS-bBITS-tTEMPERATURE-CONTROL-SEED.json (randbits) and
attributes-DATA-CONTROL-SEED.json (attributes) and pairs-DATA-bBITS-[SIDES-kK-]CONTROL-SEED.json (image_text)
captions-CONTROL-0.json (captions) and networks-DATA-ENCODER-CONTROL-SEED.json (randbits and attributes with --encoder)"""
import pathlib, sys

import evidence_attributes
import evidence_bits
import evidence_captions
import evidence_networks
import evidence_pairs
import evidence_randbits

# What these experiments and those of choosing.md showed against the method.
LIMITS = """
## What it cannot do

- **Nothing was suppressed, nothing comes.** 8,102 pictures of Debian's openclipart in their folders (`discover --controls`, seed 0): kNN of the folder is
  .577 at stage 0, .545 and .557 at stages 1 and 2, .573 for an ensemble of three. Later stages tell pictures apart that stage 0 cannot (pictures
  of one colour, say), which helps nobody who asks for the folder.
- **A code far richer than the cells.** Twenty bits, ten clusters, 10,000 rows: the class stays at chance in every stage (`choosing.md`). A stage takes
  about log2 K bits away. More clusters, more stages and more rows, or a view that removes the code.
- **Rows run out before the code does.** Fifteen bits and 20,000 rows: after two stages of 32 clusters the cells have a median of 17 rows, 14 % of the
  rows still have enough negatives, and 4.4 bits of the code still tell the rows of a cell apart; the advice is *cells too small*, and the class
  is at chance in all three stages. To take b bits away with n rows left in a cell needs about n 2^b rows, however many stages that is spread over.
- **Clusters that follow the wanted attribute already.** The next stage has to forget it: without bits, kNN of the class falls from .786 to .719
  (`choosing.md`). The representation keeps stage 0; the last stage alone does not.
- **An encoder that keeps the shortcut.** A perceptron knows the code in every stage; three stages reach .753 of the class by the linear probe where an ensemble of
  three reaches .779 (`choosing.md`).
- **One cosine for everything.** Rows that share both code and class are few, so no weighting of stages serves kNN of both in full. Weights follow the
  question; a linear probe takes what it wants.
"""


folder, docs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
sections = [text for part in (evidence_randbits, evidence_bits, evidence_attributes, evidence_networks, evidence_pairs, evidence_captions) if (text := part.section(folder, docs))]
(docs / "evidence.md").write_text("""# Does it learn the unlearned?

Written by `scripts/evidence.sh` from what its experiments found; do not edit by hand. Every table has the controls that an honest claim
needs: *ensemble*, as many independently seeded stage-0 networks as there are stages, concatenated; *shuffled*, cells of the same
sizes with rows at random. A gain over stage 0 that these have too is not the method's. kNN: 20 neighbours by
cosine; linear: a converged logistic regression on standardised features; NMI: a stage's clusters against the attribute. Probes learn on
the training rows and are judged on rows that were never trained on or clustered. How to choose the number of clusters and
stages for your own data: `choosing.md`.

""" + "\n".join(sections) + LIMITS)
