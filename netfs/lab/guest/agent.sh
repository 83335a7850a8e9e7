# Process 1 of the guest, second part: makes network, hosts, server and mounts,
# then runs the commands whose numbers come in on ttyS0. It must not exit: the
# kernel would panic.
set -u
arg() { sed -n "s/.*\blab\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
run=/lab/run/$(arg run)
fs=$(arg fs)
share=$(arg share)
lab_options=$(arg options | tr % ' ')
. /lab/guest/lib.sh

fail() {
	echo "$*" >"$run/failed"
	sync
	busybox poweroff -f
	sleep 60
}

sysctl -qw kernel.printk=4
if [ -n "$share" ]; then
	mkdir -p "$share"
	mount -t hostfs -o "$share" none "$share" || fail "mount $share of the machine outside"
fi
net_up || fail "no network"
fs_up "$fs" || fail "the set-up of $fs broke off"
# Opened once: a second open leaves the line deaf. What comes in before it is
# raw may be lost, hence ready only now.
exec 3<>/dev/ttyS0
stty raw -echo <&3 || fail "the line for commands"
echo ready >"$run/ready"
while read -r job <&3 && [ "$job" != poweroff ]; do
	[ -n "$job" ] || continue
	(
		job=$run/jobs/$job
		cd "${share:-/tmp}"
		setsid bash "$job/command" </dev/null >"$job/output" 2>&1
		echo $? >"$job/status.new"
		mv "$job/status.new" "$job/status"
	) &
done
busybox poweroff -f
sleep 60
