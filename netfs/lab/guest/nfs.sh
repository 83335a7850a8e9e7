# knfsd in the server, the kernel's client in each host.
nfs_up() {
	local n sync=sync
	case $1 in
	nfs3*) echo 3 >/run/lab.vers ;;
	nfs40*) echo 4.0 >/run/lab.vers ;;
	nfs41*) echo 4.1 >/run/lab.vers ;;
	*) echo 4.2 >/run/lab.vers ;;
	esac
	case $1 in *async) sync=async ;; esac
	echo "$lab_options" >/run/nfs.options
	disk_up ext4 && rpc_up S && nfsd_up $sync || return 1
	if [ "$(cat /run/lab.vers)" = 3 ]; then
		modprobe -q nfsv3
		for n in $hosts; do rpc_up $n || return 1; done
	fi
	for n in $hosts; do nfs_mount $n || return 1; done
}

# rpc_up HOST: what NFSv3 needs for its locks.
rpc_up() {
	node $1 && daemon $1 rpcbind -w && daemon $1 rpc.statd --no-notify
}

nfsd_up() {
	# Short graces, so that a server that was restarted answers soon.
	modprobe -q lockd nlm_grace_period=3 nlm_timeout=5
	modprobe -q nfsd
	mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd || return 1
	sysctl -qw fs.nfs.nlm_grace_period=3 fs.nfs.nlm_timeout=5
	echo 10 >/proc/fs/nfsd/nfsv4leasetime
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	# So much one WRITE carries on a server with more memory than a guest has.
	echo 1048576 >/proc/fs/nfsd/max_block_size
	daemon S sh -c 'mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
		mkdir -p /run/rpc_pipefs && mount --bind /var/lib/nfs/rpc_pipefs /run/rpc_pipefs'
	daemon S nfsdcld
	echo "/srv/export 10.9.0.0/24(rw,$1,no_root_squash,no_subtree_check,fsid=0,crossmnt,insecure)" >/etc/exports
	daemon S exportfs -ra && daemon S rpc.mountd && daemon S rpc.nfsd -H $server 4
}

nfs_mount() {
	local i vers dev=$server:/
	vers=$(cat /run/lab.vers)
	[ "$vers" = 3 ] && dev=$server:/srv/export
	mkdir -p /mnt/$1
	for i in $(seq 20); do
		on $1 mount -t nfs -o "vers=$vers,nosharecache,$(cat /run/nfs.options)" $dev /mnt/$1 && return 0
		sleep 1
	done
	return 1
}
