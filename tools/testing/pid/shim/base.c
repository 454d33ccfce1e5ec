// SPDX-License-Identifier: GPL-2.0
/*
 * What differs between kernels, see base.h: pidfs, the references of a PID
 * namespace, pid_max.
 */

#include <linux/idr.h>
#include <linux/ns_common.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/pidfs.h>

#include <sched.h>

#include "shim/internal.h"

/*
 * pidfs: its inode numbers, and its table.
 */

void pidfs_prepare_pid(struct pid *pid)
{
	pid->stashed = NULL;
	pid->attr = NULL;
	pid->ino = 0;
}

#ifdef SHIM_FAST

int pidfs_add_pid(struct pid *pid)
{
	static __thread u64 last_ino;

	pid->ino = ++last_ino;
	pid->pidfs_hash.next = NULL;
	return 0;
}

void pidfs_remove_pid(struct pid *pid)
{
	if (likely(pid->ino))
		pid->pidfs_hash.next = NULL;
}

void pidfs_free_pid(struct pid *pid)
{
}

bool shim_pidfs_can_fail(void)
{
	return false;
}

void shim_fail_pidfs(bool fail)
{
}

long base_pidfs_live(void)
{
	return 0;
}

void base_check_free(const void *object)
{
}

/* As the kernel's, without the way to the owner of a namespace that comes to life. */
void __ns_ref_active_get(struct ns_common *ns)
{
	if (!is_ns_init_id(ns))
		atomic_fetch_add_relaxed(1, &ns->__ns_ref_active);
}

void __ns_ref_active_put(struct ns_common *ns)
{
	if (!is_ns_init_id(ns))
		atomic_fetch_sub_release(1, &ns->__ns_ref_active);
}

#else

/*
 * PIDs by address. ThreadSanitizer does not see the table: its lock would put in
 * order what pid_alloc.c does not.
 */
#define unseen	__attribute__((no_sanitize_thread))

static struct rhash_head *table[1024];
static int table_lock;
static long table_entries;
static u64 last_ino;
static __thread bool add_fails;

static unseen void lock_table(void)
{
	while (__atomic_exchange_n(&table_lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static unseen void unlock_table(void)
{
	__atomic_store_n(&table_lock, 0, __ATOMIC_RELEASE);
}

/* The link to the entry, or the end of its chain. */
static unseen struct rhash_head **find_link(const struct pid *pid)
{
	struct rhash_head **link =
		&table[(uintptr_t)pid / 64 % ARRAY_SIZE(table)];

	while (*link && *link != &pid->pidfs_hash)
		link = &(*link)->next;
	return link;
}

static unseen bool in_table(const struct pid *pid)
{
	bool there;

	lock_table();
	there = *find_link(pid);
	unlock_table();
	return there;
}

/* Any error is ENOMEM for the caller of alloc_pid(): the table has others. */
int unseen pidfs_add_pid(struct pid *pid)
{
	struct rhash_head **link;

	shim_bug_on(shim_cpu.locked);
	/* Prepared, and nobody's scratch. */
	shim_bug_on(pid->ino);
	if (add_fails)
		return -E2BIG;

	lock_table();
	link = find_link(pid);
	shim_bug_on(*link);
	pid->ino = ++last_ino;
	pid->pidfs_hash.next = NULL;
	*link = &pid->pidfs_hash;
	table_entries++;
	unlock_table();
	return 0;
}

void unseen pidfs_remove_pid(struct pid *pid)
{
	struct rhash_head **link;

	shim_bug_on(shim_cpu.locked);
	lock_table();
	link = find_link(pid);
	/* Without a number it was never added. */
	shim_bug_on(!*link != !pid->ino);
	if (*link) {
		*link = pid->pidfs_hash.next;
		table_entries--;
	}
	unlock_table();
}

void pidfs_free_pid(struct pid *pid)
{
	shim_bug_on(shim_cpu.locked);
	shim_bug_on(in_table(pid));
	VFS_WARN_ON_ONCE(pid->stashed);
	VFS_WARN_ON_ONCE(pid->attr);
}

bool shim_pidfs_can_fail(void)
{
	return true;
}

void shim_fail_pidfs(bool fail)
{
	add_fails = fail;
}

unseen long base_pidfs_live(void)
{
	return __atomic_load_n(&table_entries, __ATOMIC_RELAXED);
}

/* A struct pid that was never published is freed without pidfs_free_pid(). */
void base_check_free(const void *object)
{
	shim_bug_on(in_table(object));
}

/* The kernel does not count those of the root, which is always active: the tests do. */
static atomic_t root_active = ATOMIC_INIT(1);

static atomic_t *active_refs(struct ns_common *ns)
{
	return is_ns_init_id(ns) ? &root_active : &ns->__ns_ref_active;
}

void __ns_ref_active_get(struct ns_common *ns)
{
	shim_bug_on(shim_cpu.locked);
	shim_bug_on(!__ns_ref_read(ns));
	shim_bug_on(atomic_fetch_add_relaxed(1, active_refs(ns)) < 0);
}

void __ns_ref_active_put(struct ns_common *ns)
{
	shim_bug_on(shim_cpu.locked);
	shim_bug_on(!__ns_ref_read(ns));
	shim_bug_on(__atomic_fetch_sub(&active_refs(ns)->counter, 1,
				       __ATOMIC_RELAXED) <= 0);
}

long shim_ns_active(const struct pid_namespace *ns)
{
	/* One of the root's is its own: the root is always active. */
	return ns == &init_pid_ns ? atomic_read(&root_active) - 1 :
				    ns_ref_active_read(ns);
}

#endif

/*
 * PID namespaces.
 */

void base_ns_init(struct pid_namespace *ns)
{
	static u64 last_id = NS_LAST_INIT_ID;
	const bool root = ns == &init_pid_ns;

	ns->ns.ns_id = root ? PID_NS_INIT_ID :
			      __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	refcount_set(&ns->ns.__ns_ref, 1);
	atomic_set(&ns->ns.__ns_ref_active, root);
	ns->pid_max = root ? PID_MAX_DEFAULT : PID_MAX_LIMIT;
}

/* The header warns if it is the last one, and the namespace is still active. */
bool base_ns_put(struct pid_namespace *ns)
{
	return ns_ref_put(ns);
}

unsigned int shim_ns_refs(const struct pid_namespace *ns)
{
	return ns_ref_read(ns);
}

bool shim_pid_max_per_ns(void)
{
	return true;
}

int shim_ns_pid_max(const struct pid_namespace *ns)
{
	return READ_ONCE(ns->pid_max);
}

void shim_ns_set_pid_max(struct pid_namespace *ns, int max)
{
	WRITE_ONCE(ns->pid_max, max);
}

/*
 * struct pid.
 */

bool base_pid_is_fresh(const struct pid *pid)
{
	return !pid->stashed && !pid->attr;
}

void shim_free_pids(struct pid *pids[SHIM_PID_TYPES])
{
	BUILD_BUG_ON(SHIM_PID_TYPES != (int)PIDTYPE_MAX);
	free_pids(pids);
}
