# SPDX-License-Identifier: LGPL-2.1-or-later
"""L3: what modprobe will do, decided without doing it."""
