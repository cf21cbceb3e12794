# SPDX-License-Identifier: LGPL-2.1-or-later
"""L1: file formats, each a pure mapping between bytes and values."""
