# What the guest is made of: sourced by the agent and by every command.
export PATH=/lab/guest/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
server=10.9.0.1
hosts="A B C"

# net_up makes the server's network (that of the guest itself, 10.9.0.1) and
# one for each host, 10.9.0.11 and on, with a host name of its own.
net_up() {
	mount --make-rshared /
	ip link set lo up
	modprobe -q veth
	modprobe -q bridge
	modprobe -q ipv6
	ip link add br0 type bridge && ip addr add $server/24 dev br0 && ip link set br0 up || return 1
	# rpc.mountd crashes without it.
	ln -sf /proc/self/mounts /etc/mtab
	hostname server
	echo "127.0.0.1 localhost" >/etc/hosts
	echo "$server server" >>/etc/hosts
	sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf
	: >/etc/resolv.conf
	mkdir -p /run/node
	local n i=11
	for n in $hosts; do
		echo "10.9.0.$i host$n" >>/etc/hosts
		ip netns add $n && ip link add v$n type veth peer name eth0 netns $n || return 1
		ip link set v$n master br0 up
		ip -n $n link set lo up
		ip -n $n addr add 10.9.0.$i/24 dev eth0
		ip -n $n link set eth0 up
		touch /run/node/$n.uts
		unshare --uts=/run/node/$n.uts hostname host$n || return 1
		i=$((i + 1))
	done
}

# on HOST COMMAND...: in the network and with the name of a host; S is the server.
on() {
	local n=$1
	shift
	if [ "$n" = S ]; then "$@"; else nsenter --net=/run/netns/$n --uts=/run/node/$n.uts -- "$@"; fi
}

# node HOST: gives the daemons of a host a /run and a /var/lib/nfs of their own,
# else the lock daemon of one would register with the rpcbind of another.
node() {
	local n=$1 i
	[ -s /run/node/$n.pid ] && return 0
	on $n unshare -m --propagation slave bash -c '
		mount -t tmpfs tmpfs /var/lib/nfs
		mkdir -p /var/lib/nfs/{sm,sm.bak,v4recovery,nfsdcld,rpc_pipefs}
		touch /var/lib/nfs/{etab,rmtab,state}
		chown -R statd /var/lib/nfs/{sm,sm.bak,state}
		exec 5>/run/node/'$n'.pid
		mount -t tmpfs tmpfs /run
		mkdir -p /run/rpcbind /run/lock /run/samba
		echo $$ >&5
		exec 5>&-
		exec sleep infinity' </dev/null >/dev/null 2>&1 &
	for i in $(seq 200); do
		[ -s /run/node/$n.pid ] && return 0
		sleep 0.03
	done
	return 1
}

# daemon HOST COMMAND...: among the daemons of a host.
daemon() {
	local n=$1
	shift
	nsenter -t "$(cat /run/node/$n.pid)" -m -n -u -- "$@"
}

# disk_up KIND: the server's file system, on a loop device: what hostfs and
# overlay give cannot be exported.
disk_up() {
	modprobe -q loop
	mkdir -p /srv/image /srv/export
	mount -t tmpfs tmpfs /srv/image && truncate -s 512M /srv/image/disk || return 1
	local dev
	dev=$(losetup -f --show /srv/image/disk) || return 1
	case $1 in
	ext4)
		mke2fs -q -t ext4 -O ^has_journal -I 256 -E lazy_itable_init=1,nodiscard -F "$dev" || return 1
		mount -o noatime,user_xattr,acl "$dev" /srv/export && rmdir /srv/export/lost+found || return 1
		chmod 1777 /srv/export
		;;
	vfat)
		modprobe -q vfat
		modprobe -q nls_cp437
		mkfs.vfat -F 32 "$dev" >/dev/null || return 1
		mount -o iocharset=utf8,umask=0 "$dev" /srv/export || mount -o umask=0 "$dev" /srv/export || return 1
		;;
	esac
}

# fs_up NAME: server and mounts of one file system, as docs/lab.md lists them.
fs_up() {
	echo "$1" >/run/lab.fs
	case $1 in
	local)
		disk_up ext4 || return 1
		local n
		for n in $hosts; do mkdir -p /mnt/$n && mount --bind /srv/export /mnt/$n || return 1; done
		;;
	nfs*) . /lab/guest/nfs.sh && nfs_up "$1" ;;
	smb*) . /lab/guest/smb.sh && smb_up "$1" ;;
	mixed) mixed_up ;;
	*) . "/lab/guest/$1.sh" && "$1_up" "$1" ;;
	esac
}

# mixed_up exports one directory by NFS and SMB: B is a client of SMB, A and C
# are of NFS.
mixed_up() {
	local n
	. /lab/guest/nfs.sh && . /lab/guest/smb.sh || return 1
	echo 4.2 >/run/lab.vers
	echo "$lab_options" >/run/nfs.options
	echo vers=3.1.1 >/run/smb.options
	disk_up ext4 && rpc_up S && nfsd_up sync && smb_server ext4 no || return 1
	for n in $hosts; do mount_host $n || return 1; done
}

server_stop() {
	case $(cat /run/lab.fs) in nfs* | mixed) daemon S rpc.nfsd 0 || return 1 ;; esac
	case $(cat /run/lab.fs) in smb* | mixed) kill -KILL -- -"$(cat /run/node/smbd.pid)" ;; esac
}

server_start() {
	. /lab/guest/smb.sh
	case $(cat /run/lab.fs) in nfs* | mixed) daemon S rpc.nfsd -H $server 4 || return 1 ;; esac
	case $(cat /run/lab.fs) in smb* | mixed) smbd_start ;; esac
}

# mount_host HOST: mounts the share for a host, as it was at the start.
mount_host() {
	. /lab/guest/nfs.sh && . /lab/guest/smb.sh
	case $(cat /run/lab.fs)$1 in
	nfs* | mixed[AC]) nfs_mount $1 ;;
	smb* | mixedB) smb_mount $1 ;;
	local*) mount --bind /srv/export /mnt/$1 ;;
	esac
}
