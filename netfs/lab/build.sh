#!/bin/bash
# Builds what a guest is made of, in the folder $1, from the Debian packages
# of the mirror that this machine uses: the user-mode-linux kernel and a root
# directory with the programs of servers and clients. Needs root.
set -euo pipefail
cd "$1"

packages=nfs-kernel-server,nfs-common,rpcbind,samba,samba-common-bin,cifs-utils,iproute2,kmod,mount,procps,util-linux,busybox-static,e2fsprogs,dosfstools,psmisc,iputils-ping,netbase
# Delivery agents to compare with.
packages+=,procmail,maildrop,dovecot-core
# Extra packages for other file systems: see docs/lab.md.
packages+=${LAB_PACKAGES:+,$LAB_PACKAGES}

# sources writes the apt sources of a guest: the mirror of this machine.
sources() {
	local mirror
	mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
		grep -v '^#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | sed 's#/* *$##' || true)
	echo "deb ${mirror:-http://deb.debian.org/debian} bookworm main"
	echo "deb ${mirror:-http://deb.debian.org/debian} bookworm-updates main"
}

if ! command -v mmdebstrap >/dev/null; then
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mmdebstrap
fi
rm -rf building && mkdir -p building/dl
sources >building/sources.list
(
	cd building/dl
	apt-get download -q user-mode-linux || { apt-get update -q && apt-get download -q user-mode-linux; }
	dpkg-deb -x user-mode-linux_*.deb uml
)
# dpkg's fsyncs are most of the time: what a broken build leaves is thrown away.
mmdebstrap --variant=apt --include="$packages" --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt=force-unsafe-io bookworm building/root building/sources.list
mkdir -p building/root/usr/lib/modules building/root/lab
cp -a building/dl/uml/usr/lib/uml/modules/* building/root/usr/lib/modules/
for modules in building/root/usr/lib/modules/*; do
	chroot building/root depmod "${modules##*/}"
done
# No package may start a daemon of its own.
printf '#!/bin/sh\nexit 101\n' >building/root/usr/sbin/policy-rc.d
chmod +x building/root/usr/sbin/policy-rc.d
cp building/dl/uml/usr/bin/linux.uml building/linux.uml
rm -rf root && mv building/root root && mv building/linux.uml linux.uml
rm -rf building
