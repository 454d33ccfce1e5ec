// SPDX-License-Identifier: GPL-2.0
/*
 * PID allocation: one number at every level, all or nothing.
 *
 * A process has a PID in its own PID namespace and in each namespace around
 * it, so a struct pid carries one number for each level. alloc_pid() gets them
 * in four steps:
 *
 *   judge    the PIDs that the caller chose, if any (kernel/set_tid.c)
 *   prepare  everything that may sleep or needs no lock
 *   claim    a number at each level, from the innermost outwards
 *   publish  the struct pid under the claimed numbers
 *
 * Claim and publish happen under one hold of pidmap_lock. A claim that fails is
 * undone before the lock is dropped, so no other claim ever meets a part of
 * one. Lookups take no lock. A claimed number has a NULL in the IDR, which is
 * "not there" for them, until all levels are claimed: whoever finds a struct pid
 * finds every number in it, and one that was found is never taken back by undo.
 *
 * A claim moves the automatic sequence of a namespace (its IDR cursor) only
 * when it is published, so undo owes it nothing. Others who move it are
 * ns_last_pid, without the lock, and free_pid() for a first process.
 */

#include <linux/err.h>
#include <linux/idr.h>
#include <linux/minmax.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "set_tid.h"

/*
 * Protects the IDR and pid_allocated of every PID namespace. Lookups take RCU
 * instead. Taken with interrupts off: free_pid() runs under tasklist_lock,
 * which interrupt handlers take for reading.
 */
static __cacheline_aligned_in_smp DEFINE_SPINLOCK(pidmap_lock);

/*
 * The slots that the claim under way has got, one for each level. Protected by
 * pidmap_lock.
 */
static void __rcu **claimed[MAX_PID_NS_LEVEL + 1];

/*
 * Number of the last struct pid that was published, which is the inode number
 * of its pidfds. The low ones are left to pidfs: 1 is its root.
 */
static u64 pidfs_ino = RESERVED_PIDS;

/*
 * The levels of a struct pid, counted as set_tid counts them: 0 is the
 * innermost, pid->level the initial namespace.
 */
static struct upid *upid_outwards(struct pid *pid, unsigned int i)
{
	return &pid->numbers[pid->level - i];
}

/*
 * pid_may_attach() and zap_pid_ns_processes() read pid_allocated without
 * pidmap_lock.
 */
static bool ns_alive(const struct pid_namespace *ns)
{
	return READ_ONCE(ns->pid_allocated) & PIDNS_ADDING;
}

/* Returns the slot in the IDR, as do the next two, or an ERR_PTR(). */
static void __rcu **claim_requested(struct upid *upid, u32 nr)
{
	void __rcu **slot;

	upid->nr = nr;
	slot = idr_reserve_u32(&upid->ns->idr, (u32 *)&upid->nr, nr, GFP_NOWAIT);
	return slot == ERR_PTR(-ENOSPC) ? ERR_PTR(-EEXIST) : slot;
}

/* The next free number at or after the cursor, or else from the start again. */
static void __rcu **claim_automatic(struct upid *upid)
{
	struct idr *idr = &upid->ns->idr;
	const u32 cursor = idr_get_cursor(idr);
	const u32 last = READ_ONCE(pid_max) - 1;
	/* The low numbers are for whoever starts with the namespace. */
	const u32 first = cursor > RESERVED_PIDS ? RESERVED_PIDS : 1;
	void __rcu **slot;

	upid->nr = max(cursor, first);
	slot = idr_reserve_u32(idr, (u32 *)&upid->nr, last, GFP_NOWAIT);
	if (slot == ERR_PTR(-ENOSPC) && upid->nr > first) {
		upid->nr = first;
		slot = idr_reserve_u32(idr, (u32 *)&upid->nr, last, GFP_NOWAIT);
	}
	return slot == ERR_PTR(-ENOSPC) ? ERR_PTR(-EAGAIN) : slot;
}

/*
 * Answers -ESRCH for a namespace whose init is gone: unlike -ENOMEM it is not
 * worth a retry. A PID that is in use is reported even there.
 */
static void __rcu **claim_level(struct upid *upid, pid_t requested)
{
	if (unlikely(!ns_alive(upid->ns)))
		return requested && idr_find(&upid->ns->idr, requested) ?
			ERR_PTR(-EEXIST) : ERR_PTR(-ESRCH);

	return requested ? claim_requested(upid, requested) :
			   claim_automatic(upid);
}

/*
 * After an error the level that could not be claimed is in @pid->ino: nobody
 * else will see this @pid, and a variable would cost every fork() something.
 */
static int claim_levels(struct pid *pid, const pid_t *set_tid, size_t size)
{
	unsigned int i;
	int err;

	for (i = 0; i <= pid->level; i++) {
		claimed[i] = claim_level(upid_outwards(pid, i),
					 i < size ? set_tid[i] : 0);
		if (IS_ERR(claimed[i]))
			goto undo;
	}

	return 0;

undo:
	err = PTR_ERR(claimed[i]);
	pid->ino = i;
	while (i--) {
		struct upid *upid = upid_outwards(pid, i);

		idr_remove(&upid->ns->idr, upid->nr);
	}
	return err;
}

/* From here on lookups find @pid; only automatic levels move their cursor. */
static void publish_levels(struct pid *pid, size_t requested)
{
	unsigned int i;

	get_pid_ns(ns_of_pid(pid));
	pid->ino = ++pidfs_ino;

	for (i = 0; i <= pid->level; i++) {
		struct upid *upid = upid_outwards(pid, i);
		struct pid_namespace *ns = upid->ns;

		rcu_assign_pointer(*claimed[i], pid);
		WRITE_ONCE(ns->pid_allocated, ns->pid_allocated + 1);
		if (i >= requested)
			idr_set_cursor(&ns->idr, upid->nr + 1);
	}
}

/*
 * The IDRs need memory under the lock and must not sleep for it there. Where
 * the slab has none to give at once they draw on nodes that were preloaded
 * before. One preload lasts for one level at least, which is enough unless
 * memory is short; after that the claim is tried again with more, at last with
 * enough for all levels. So the claim fails for lack of memory only where a
 * sleeping allocation fails too.
 */
static int claim_and_publish(struct pid *pid, const pid_t *set_tid, size_t size)
{
	unsigned int preload = 1;
	int err;

	do {
		if (idr_preload_many(GFP_KERNEL, preload) ||
		    preload == pid->level + 1)
			preload = 0; /* the last try */

		spin_lock_irq(&pidmap_lock);
		err = claim_levels(pid, set_tid, size);
		if (!err)
			publish_levels(pid, size);
		spin_unlock_irq(&pidmap_lock);
		idr_preload_end();

		preload = min(2 * preload, pid->level + 1);
	} while (err == -ENOMEM && preload);

	return err;
}

static void init_pid(struct pid *pid, struct pid_namespace *ns)
{
	enum pid_type type;

	refcount_set(&pid->count, 1);
	pid->level = ns->level;
	spin_lock_init(&pid->lock);
	pid->stashed = NULL;
	pid->ino = 0;
	for (type = 0; type < PIDTYPE_MAX; type++)
		INIT_HLIST_HEAD(&pid->tasks[type]);
	INIT_HLIST_HEAD(&pid->inodes);
	init_waitqueue_head(&pid->wait_pidfd);

	for (; ns; ns = ns->parent)
		pid->numbers[ns->level].ns = ns;
}

/**
 * alloc_pid - allocate a PID at every level
 * @ns: the namespace that the process is created in (the target)
 * @set_tid: PIDs that the caller chose, innermost first
 * @set_tid_size: number of PIDs in @set_tid, 0 for none
 *
 * The levels that @set_tid does not reach get the next free PID. After an error
 * no level has changed: no PID is held, none was skipped, and the same call can
 * be made again.
 *
 * The struct pid can be looked up on return, but has no task yet: attach one
 * with attach_pid(), or give it back with free_pid().
 *
 * Context: Process context, the request is judged by the credentials of
 *	    current. The caller holds a reference to @ns. May sleep. Takes and
 *	    releases pidmap_lock.
 * Return: the struct pid with one reference, or an ERR_PTR(): the answers of
 *	   set_tid_permit() to a bad request; %-EEXIST if a requested PID is in
 *	   use; %-EAGAIN if a level has no free PID left; %-ENOMEM if there is no
 *	   memory, or if a namespace at any level has lost its init (which is
 *	   what pid_namespaces(7) documents).
 */
struct pid *alloc_pid(struct pid_namespace *ns, const pid_t *set_tid,
		      size_t set_tid_size)
{
	struct pid *pid;
	int err;

	if (set_tid_size) {
		err = set_tid_permit(ns, set_tid, set_tid_size);
		if (err)
			return ERR_PTR(err);
	}

	pid = kmem_cache_alloc(ns->pid_cachep, GFP_KERNEL);
	if (!pid)
		return ERR_PTR(-ENOMEM);
	init_pid(pid, ns);

	err = claim_and_publish(pid, set_tid, set_tid_size);
	if (!err)
		return pid;

	if (err == -ESRCH)
		err = -ENOMEM;
	if (set_tid_size)
		set_tid_refused(upid_outwards(pid, pid->ino)->ns,
				pid->ino < set_tid_size ? set_tid[pid->ino] : 0,
				err);

	/* It was never published: nobody can hold on to it. */
	kmem_cache_free(ns->pid_cachep, pid);
	return ERR_PTR(err);
}

/**
 * pid_may_attach - is every namespace of a pid still taking processes?
 * @pid: a struct pid from alloc_pid() that has no task yet
 *
 * The init of any of the namespaces may have started to exit since @pid was
 * allocated. It first stops new PIDs and then kills every task that it finds,
 * the latter under tasklist_lock: a task that is attached under the lock after
 * this check is found, one that comes later fails the check.
 *
 * Context: tasklist_lock is held for writing, until the task is attached.
 * Return: %false if a namespace at any level has lost its init.
 */
bool pid_may_attach(const struct pid *pid)
{
	unsigned int level;

	for (level = 0; level <= pid->level; level++)
		if (!ns_alive(pid->numbers[level].ns))
			return false;
	return true;
}

static void release_level(const struct upid *upid)
{
	struct pid_namespace *ns = upid->ns;
	const unsigned int left = ns->pid_allocated - 1;

	idr_remove(&ns->idr, upid->nr);
	WRITE_ONCE(ns->pid_allocated, left);

	switch (left) {
	case 2:
	case 1:
		/*
		 * Perhaps only init is left, as one thread or as one and its
		 * exited leader, and waits for that in zap_pid_ns_processes().
		 */
		wake_up_process(READ_ONCE(ns->child_reaper));
		break;
	case PIDNS_ADDING:
		/*
		 * The first process failed after its PID was claimed. The next
		 * one is the first again, and has to get PID 1.
		 */
		WARN_ON_ONCE(ns->child_reaper);
		idr_set_cursor(&ns->idr, 0);
		break;
	}
}

static void put_pid_rcu(struct rcu_head *rcu)
{
	put_pid(container_of(rcu, struct pid, rcu));
}

/**
 * free_pid - give the PIDs of all levels back
 * @pid: a struct pid that no task uses
 *
 * On return each of the numbers is free again. The struct pid itself lives on
 * for lookups under RCU and for those who hold a reference.
 *
 * Context: Any that may take a spinlock; also with tasklist_lock held. Takes
 *	    and releases pidmap_lock.
 */
void free_pid(struct pid *pid)
{
	unsigned long flags;
	unsigned int level;

	spin_lock_irqsave(&pidmap_lock, flags);
	for (level = 0; level <= pid->level; level++)
		release_level(&pid->numbers[level]);
	spin_unlock_irqrestore(&pidmap_lock, flags);

	call_rcu(&pid->rcu, put_pid_rcu);
}

/**
 * disable_pid_allocation - take no new processes into a namespace
 * @ns: a namespace whose init has started to exit
 *
 * Context: Process context, interrupts on. Takes and releases pidmap_lock.
 */
void disable_pid_allocation(struct pid_namespace *ns)
{
	spin_lock_irq(&pidmap_lock);
	WRITE_ONCE(ns->pid_allocated, ns->pid_allocated & ~PIDNS_ADDING);
	spin_unlock_irq(&pidmap_lock);
}
