# SPDX-License-Identifier: LGPL-2.1-or-later
# Install forms; the Makefile includes this. See docs/install.md.
#
#     make install [DESTDIR=] [PREFIX=/usr/local]    the commands and all that belongs to them
#     make deb                                       dist/pymodutils_VERSION_all.deb, in place of Debian's kmod
#
# The same commit gives the same bytes: no time, user, umask or directory of the build gets into what is made.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
PYTHON ?= /usr/bin/python3
# What compiles the byte code, where PYTHON cannot run: the same version, for instance of a machine that builds for another.
BUILD_PYTHON ?= $(PYTHON)

private = $(PREFIX)/lib/pymodutils
# --- made by completions/update.py: links
links = depmod insmod kerneld ksymoops ksyms lsmod modinfo modprobe rmmod
# --- end of what is made
modules = $(shell find pymodutils -name '*.py' | LC_ALL=C sort)
docs = README.md $(wildcard CHANGELOG.md) $(shell find docs -name schemas -prune -o -type f -print | LC_ALL=C sort)
zsh_directory = $(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
put = install -D -m 644

.PHONY: install install-files install-links install-bytecode deb

install: install-files install-bytecode install-links ## install to DESTDIR PREFIX, default /usr/local

install-files:
	install -D -m 755 bin/kmod $(DESTDIR)$(private)/bin/kmod
	sed -i '1s,/usr/bin/python3,$(PYTHON),' $(DESTDIR)$(private)/bin/kmod
	for file in $(modules) pymodutils/py.typed; do $(put) $$file $(DESTDIR)$(private)/$$file || exit; done
	install -D -m 755 initramfs/copy-python $(DESTDIR)$(private)/initramfs/copy-python
	sed -i '1s,/usr/bin/python3,$(PYTHON),' $(DESTDIR)$(private)/initramfs/copy-python
	install -D -m 755 initramfs/initramfs-tools-hook $(DESTDIR)$(PREFIX)/share/initramfs-tools/hooks/pymodutils
	$(put) initramfs/initramfs-tools-conf $(DESTDIR)$(PREFIX)/share/initramfs-tools/conf-hooks.d/pymodutils
	install -D -m 755 initramfs/dracut-module-setup.sh $(DESTDIR)$(PREFIX)/lib/dracut/modules.d/98pymodutils/module-setup.sh
	for page in $(wildcard man/*.[1-9]); do $(put) $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; done
	$(put) completions/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pymodutils
	$(put) completions/bash-names $(DESTDIR)$(SYSCONFDIR)/bash_completion.d/pymodutils
	sed -i 's,@PREFIX@,$(PREFIX),' $(DESTDIR)$(SYSCONFDIR)/bash_completion.d/pymodutils
	$(put) completions/zsh $(DESTDIR)$(PREFIX)/share/zsh/$(zsh_directory)/_pymodutils
	$(put) completions/fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/kmod.fish
	for name in $(links); do ln -sf kmod.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$name.fish || exit; done
	$(put) etc/modprobe.d/aliases.conf $(DESTDIR)$(PREFIX)/lib/modprobe.d/aliases.conf
	for file in $(wildcard docs/schemas/*.json); do $(put) $$file $(DESTDIR)$(PREFIX)/share/doc/pymodutils/schemas/$${file##*/} || exit; done
	for page in $(docs); do $(put) $$page $(DESTDIR)$(PREFIX)/share/doc/pymodutils/$$page || exit; done
	ln -sfn ../schemas $(DESTDIR)$(PREFIX)/share/doc/pymodutils/docs/schemas
	$(put) etc/modprobe.d/sample.conf $(DESTDIR)$(PREFIX)/share/doc/pymodutils/examples/modprobe.d-sample.conf
	for file in $(wildcard contrib/kerneld/*); do $(put) $$file $(DESTDIR)$(PREFIX)/share/doc/pymodutils/examples/kerneld/$${file##*/} || exit; done

# Byte code that the interpreter takes as it is: no time stamps, nothing to look up when a command starts.
install-bytecode:
	umask 022; $(BUILD_PYTHON) -IS -m compileall -q -f --invalidation-mode unchecked-hash $(if $(DESTDIR),-s $(DESTDIR:/=) -p /) $(DESTDIR)$(private)/pymodutils
	umask 022; $(BUILD_PYTHON) -IS $(DESTDIR)$(private)/pymodutils/make_pack.py --unchecked

# Laid out as Debian's kmod lays them.
install-links:
	install -d -m 755 $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin
	ln -sf ../lib/pymodutils/bin/kmod $(DESTDIR)$(PREFIX)/bin/kmod
	ln -sf kmod $(DESTDIR)$(PREFIX)/bin/lsmod
	for name in $(links); do ln -sf ../bin/kmod $(DESTDIR)$(PREFIX)/sbin/$$name || exit; done

deb: ## build dist/pymodutils_VERSION_all.deb, in place of Debian's kmod
	debian/build dist
