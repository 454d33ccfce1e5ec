// SPDX-License-Identifier: GPL-2.0
/*
 * Threads, each of which is a CPU, and statistics of all that they do.
 */

#include <linux/idr.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/threads.h>

#include <pthread.h>

#include "radix-tree.h"

#include "shim/internal.h"

void radix_tree_init(void);

static void init_once(void)
{
	radix_tree_init();
	namespaces_init();
}

void shim_thread_enter(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	BUILD_BUG_ON(SHIM_MAX_LEVEL != MAX_PID_NS_LEVEL);
	BUILD_BUG_ON(SHIM_RESERVED_PIDS != RESERVED_PIDS);
	BUILD_BUG_ON(SHIM_PID_MAX_DEFAULT != PID_MAX_DEFAULT);
	BUILD_BUG_ON(SHIM_PID_MAX_LIMIT != PID_MAX_LIMIT);
	BUILD_BUG_ON(SHIM_PIDNS_ADDING != PIDNS_ADDING);

	pthread_once(&once, init_once);
	rcu_add_reader();
}

void shim_thread_exit(void)
{
	shim_rcu_barrier();
	shim_drop_preloaded();
	rcu_remove_reader();
}

void shim_get_stats(struct shim_stats *stats)
{
	*stats = (struct shim_stats) {
		.locks = locks_taken(),
		.atomic = slab_tried(SHIM_ATOMIC),
		.sleeping = slab_tried(SHIM_SLEEPING),
		.warnings = env_warnings(),
		.live_pids = namespaces_live_pids(),
		.live_nodes = slab_live(radix_tree_node_cachep),
		.live_namespaces = namespaces_live(),
		.live_in_pidfs = base_pidfs_live(),
		.pending_callbacks = rcu_pending(),
	};
}
