#!/bin/sh
# Several hosts on one machine, for programs that use MPI: each is a network namespace with an address, a name and a temporary
# directory of its own, on a switch that nothing else is on. Ranks talk by TCP, and are started as ssh would.
#   sh scripts/hosts.sh HOSTS PROGRAM [ARGUMENT...]
#   RANKS=8 sh scripts/hosts.sh 4 PROGRAM      eight ranks, two on each; else one
#   SECONDS_MOST=60 ...                        no longer than that (600)
#
# Needs root, iproute2, Open MPI's mpirun. Ends with 77 where the system does not let namespaces be made. Whatever happens, all is
# cleared away at the end. While it runs, host i is `ip netns exec mclPID-i`, with the PID of this script.
set -eu
hosts=$1
shift
name=mcl$$
scratch=$(mktemp -d)

clear_away() {
  trap '' INT TERM
  for namespace in $(ip netns list | sed -n "s/^\($name-[0-9]*\).*/\1/p"); do
    pids=$(ip netns pids "$namespace") && test -z "$pids" || kill -9 $pids 2>/dev/null || true
    ip netns del "$namespace"
  done
  rm -rf "$scratch"
}
trap clear_away EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

command -v ip >/dev/null && mpirun --version 2>/dev/null | grep -q 'Open MPI' || { echo "no ip, or no mpirun of Open MPI"; exit 77; }
# Number 0 is the switch.
ip netns add "$name-0" && ip -n "$name-0" link add switch type bridge && ip -n "$name-0" link set switch up ||
  { echo "no network namespaces here"; exit 77; }

list=
for i in $(seq "$hosts"); do
  ip netns add "$name-$i"
  ip -n "$name-$i" link add wire type veth peer name "wire$i" netns "$name-0"
  ip -n "$name-0" link set "wire$i" master switch up
  ip -n "$name-$i" address add "10.77.0.$i/24" dev wire
  ip -n "$name-$i" link set wire up
  ip -n "$name-$i" link set lo up
  mkdir "$scratch/$i"
  list=$list${list:+,}10.77.0.$i:100
done

# What ssh is elsewhere: ADDRESS, then a command for a shell.
cat >"$scratch/remote" <<END
#!/bin/sh
i=\${1##*.}
shift
export TMPDIR="$scratch/\$i"
exec ip netns exec "$name-\$i" unshare --uts sh -c 'hostname "\$0"; exec sh -c "\$1"' "host\$i" "\$*"
END
chmod +x "$scratch/remote"

# Not as a word of a shell's command: arguments stay as they are.
TMPDIR=$scratch/1 timeout -k 10 "${SECONDS_MOST:-600}" ip netns exec "$name-1" unshare --uts \
  sh -c 'hostname host1; exec "$@"' mpirun mpirun --allow-run-as-root --bind-to none --map-by node \
  --host "$list" -n "${RANKS:-$hosts}" --mca plm_rsh_agent "$scratch/remote" \
  --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 "$@" &
# A trap runs when `wait` is interrupted, not while a command runs in the foreground.
wait $!
