// SPDX-License-Identifier: LGPL-2.1-or-later
/* A second slow one, to see two at work at once. */
#include "pmt_slow.c"
