#!/bin/sh
# Kills a small run that saves every two steps N times (1000), half of them at a file call and half at any time, each time
# going on from what is there, and prints what came of it:
#
#   kills      processes ended by SIGKILL; in a save: those that left a part of a file
#   resumed    processes that went on from a save
#   torn       saves that were refused or came to something else; lost: that were gone
#   runs       that came to their end; equal: with the results and files of a run that nobody disturbed, to the bit
#
#   sh scripts/kills.sh [N [SEED]]
#
# The short form is tests/faults/test_run_kills.c. Needs a build in build/.
set -eu
cd "$(dirname "$0")/.."
ninja -C build tests/test_run_kills >/dev/null
export MCL_TESTS="$PWD/tests" MCL_SCRATCH="$PWD/build/scratch" CK_DEFAULT_TIMEOUT=0
MCL_KILLS=${1:-1000} MCL_KILLS_SEED=${2:-1} exec build/tests/test_run_kills
