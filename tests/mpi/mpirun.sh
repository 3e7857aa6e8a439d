#!/bin/sh
# mpirun.sh RANKS PROGRAM [ARGUMENT...]: on this machine, however few cores it has, as any user, and never for longer than
# MCL_SECONDS (120): a rank that waits for ever fails the test.
set -eu
ranks=$1
shift
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# By environment, so that another MPI's mpirun is not given options that it does not know. Containers often forbid the copying
# between processes that Open MPI would use first.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none
exec timeout -k 10 "${MCL_SECONDS:-120}" mpirun -n "$ranks" "$@"
