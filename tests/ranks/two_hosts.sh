#!/usr/bin/env bash
# Runs a program as two ranks of MPI on two hosts: network namespaces of this machine with names of their own, joined by
# a cable. Needs root, mpirun and ip (iproute2); exits with 77 where namespaces cannot be had.
#   tests/ranks/two_hosts.sh build/release/bin/slotwise-pretrain --preset smoke --data FOLDER --out FOLDER
set -euo pipefail
case ${1:-} in
  '' | -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

prefix=slotwise-$$
agent=$(mktemp)
clean() {
  rm -f "$agent"
  for host in 1 2; do ip netns del "$prefix-$host" 2>/dev/null || true; done
}
trap clean EXIT

make_hosts() {
  ip netns add "$prefix-1" && ip netns add "$prefix-2" &&
    ip -n "$prefix-1" link add cable type veth peer name cable netns "$prefix-2" || return 1
  for host in 1 2; do
    ip -n "$prefix-$host" addr add "10.77.0.$host/24" dev cable
    ip -n "$prefix-$host" link set cable up
    ip -n "$prefix-$host" link set lo up
  done
  ip netns exec "$prefix-1" unshare --uts true
}
if ! why=$(make_hosts 2>&1); then
  echo "two hosts cannot be made here: $why" >&2
  exit 77
fi

# What mpirun takes for ssh: AGENT ADDRESS COMMAND...
cat >"$agent" <<END
#!/usr/bin/env bash
host=\${1##*.}
shift
exec ip netns exec "$prefix-\$host" unshare --uts sh -c "hostname host\$host; \$*"
END
chmod +x "$agent"
"$agent" 10.77.0.1 mpirun --allow-run-as-root --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 \
  --mca plm_rsh_agent "$agent" --host 10.77.0.1,10.77.0.2 -n 2 "$(printf '%q ' "$@")"
