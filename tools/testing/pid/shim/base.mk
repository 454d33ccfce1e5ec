# SPDX-License-Identifier: GPL-2.0
#
# What differs between kernels, here for Linux 7.3; see base.h.

# Where kernel/pid.c without the patches has its alloc_pid().
BASE_CUT := $(CUT) pidmap_lock delayed_put_pid free_pid free_pids alloc_pid disable_pid_allocation
