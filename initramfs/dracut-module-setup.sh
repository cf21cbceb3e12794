#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dracut: the module commands in the image are a Python program; bring its interpreter along.

pymodutils_private() {
    local program
    program=$(readlink -f "${dracutsysrootdir-}/usr/sbin/modprobe") || return 1
    program=${program%/bin/kmod}
    [[ -x $program/initramfs/copy-python ]] && printf '%s\n' "$program"
}

# called by dracut: not left to hostonly; an image without it could load nothing
check() {
    pymodutils_private >/dev/null
}

# called by dracut
depends() {
    return 0
}

# called by dracut; after the modules that bring the kernel modules and the names of the commands
install() {
    local private binaries binary zstd=()
    export PYMODUTILS_NO_CACHE=1 # for the depmod that dracut runs later: no next run ever sees the image
    private=$(pymodutils_private) || return 1
    # shellcheck disable=SC2154 # dracut sets it
    [[ -n $(find "$initdir/lib/modules/" -name '*.ko.zst' -print -quit 2>/dev/null) ]] && zstd=(--zstd)
    binaries=$("$private/initramfs/copy-python" "${zstd[@]}" "$initdir") || return 1
    while read -r binary; do
        # each with its libraries: dracut finds those of executable files by itself, and Python's extensions are not
        # shellcheck disable=SC2046 # no name in there has a blank
        inst_multiple "$binary" $(ldd "$binary" | sed -n 's,.* => \(/[^ ]*\) (0x.*,\1,p')
    done <<<"$binaries"
}
