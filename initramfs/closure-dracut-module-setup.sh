#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# dracut: bring what the devices of this machine need, with firmware and soft dependencies. Copy it to
# /usr/lib/dracut/modules.d/91kmod-closure/module-setup.sh, and name the module in dracutmodules.

# called by dracut: only an image for this machine can go by its devices
check() {
    [[ ${hostonly-} ]] && type -P kmod >/dev/null && kmod closure --help &>/dev/null
}

# called by dracut
depends() {
    return 0
}

# called by dracut
installkernel() {
    # shellcheck disable=SC2154 # dracut sets kernel and initdir
    (cd / && kmod closure --set-version="$kernel" --from=devices --missing=warn --files0) |
        cpio --null --pass-through --make-directories --quiet "$initdir"
}
