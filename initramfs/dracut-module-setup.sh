#!/bin/bash
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
    local private binary zstd=()
    private=$(pymodutils_private) || return 1
    [[ -n $(find "$initdir/lib/modules/" -name '*.ko.zst' -print -quit 2>/dev/null) ]] && zstd=(--zstd)
    while read -r binary; do
        inst_binary "$binary"
    done < <("$private/initramfs/copy-python" "${zstd[@]}" "$initdir")
}
