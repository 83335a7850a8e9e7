# Samba in the server, the kernel's cifs in each host.
smb_up() {
	local n options=vers=3.1.1 disk=ext4 extensions=no
	case $1 in
	smb3-nolink) disk=vfat ;;
	smb3posix) options+=,posix extensions=yes ;;
	esac
	echo "$options${lab_options:+,$lab_options}" >/run/smb.options
	disk_up $disk && smb_server $disk $extensions || return 1
	for n in $hosts; do smb_mount $n || return 1; done
}

# smb_server DISK EXTENSIONS
smb_server() {
	node S && smb_conf $1 $2 || return 1
	useradd -M lab 2>/dev/null
	mkdir -p /var/log/samba /var/lib/samba/private /var/cache/samba
	printf 'lab\nlab\n' | daemon S smbpasswd -s -a lab >/dev/null && smbd_start || return 1
	modprobe -q cifs
}

# smb_conf DISK EXTENSIONS
smb_conf() {
	local attributes=yes
	[ $1 = vfat ] && attributes=no # there are no extended attributes to keep them in
	cat >/etc/samba/smb.conf <<X
[global]
 workgroup = LAB
 server role = standalone server
 disable netbios = yes
 smb ports = 445
 interfaces = $server/24
 bind interfaces only = yes
 passdb backend = tdbsam
 load printers = no
 printing = bsd
 disable spoolss = yes
 log file = /var/log/samba/log.%m
 server min protocol = SMB2_10
 unix extensions = $2
$([ $2 = yes ] && echo " smb3 unix extensions = yes")
[mail]
 path = /srv/export
 read only = no
 force user = root
$([ "$(cat /run/lab.fs)" = mixed ] && printf ' oplocks = no\n smb2 leases = no\n')
 create mask = 0666
 directory mask = 0777
 strict sync = yes
 ea support = $attributes
 store dos attributes = $attributes
X
}

# smbd_start runs smbd as the leader of a group, whose number is in smbd.pid.
smbd_start() {
	local i
	(daemon S setsid bash -c 'echo $$ >&5; exec 5>&-; exec smbd --foreground --no-process-group' 5>/run/node/smbd.pid </dev/null >/dev/null 2>&1 &)
	for i in $(seq 400); do
		ss -tnl | grep -q ':445 ' && return 0
		sleep 0.05
	done
	return 1
}

# smb_mount HOST. A server that has just started may still turn a client away.
smb_mount() {
	local i
	mkdir -p /mnt/$1
	for i in $(seq 20); do
		on $1 mount -t cifs //$server/mail /mnt/$1 -o "username=lab,password=lab,uid=0,gid=0,file_mode=0666,dir_mode=0777,noperm,nosharesock,$(cat /run/smb.options)" && return 0
		sleep 1
	done
	return 1
}
