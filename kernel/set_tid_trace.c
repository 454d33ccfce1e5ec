// SPDX-License-Identifier: GPL-2.0
/*
 * Reports why a set_tid request was refused: the errno says neither at which
 * level, nor who has the PID.
 */

#include <linux/errno.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "set_tid.h"

#define CREATE_TRACE_POINTS
#include <trace/events/set_tid.h>

static int holder_kind(struct pid *pid, struct task_struct *task)
{
	const bool leader = pid_has_task(pid, PIDTYPE_TGID);

	/* No lock: it may exit meanwhile, and that is fine. */
	if (!data_race(task->exit_state))
		return leader ? SET_TID_HELD_BY_PROCESS :
				SET_TID_HELD_BY_THREAD;
	/* A leader cannot be reaped while there are other threads. */
	if (leader && !data_race(thread_group_empty(task)))
		return SET_TID_HELD_BY_EXITED_LEADER;
	return SET_TID_HELD_BY_ZOMBIE;
}

/*
 * A PID stays in use as the number of a process group or a session when its
 * process is gone. Then any member is the holder.
 */
static struct task_struct *holding_task(struct pid *pid,
					struct set_tid_holder *holder)
{
	struct task_struct *task = pid_task(pid, PIDTYPE_PID);

	if (task) {
		holder->kind = holder_kind(pid, task);
		return task;
	}

	task = pid_task(pid, PIDTYPE_PGID);
	if (task) {
		holder->kind = SET_TID_HELD_BY_GROUP;
		return task;
	}
	task = pid_task(pid, PIDTYPE_SID);
	if (task)
		holder->kind = SET_TID_HELD_BY_SESSION;
	return task;
}

static void find_holder(struct pid_namespace *ns, pid_t nr,
			struct set_tid_holder *holder)
{
	struct task_struct *task;

	rcu_read_lock();
	task = holding_task(find_pid_ns(nr, ns), holder);
	if (task) {
		/* No lock: a thread that execs takes the PID of its leader. */
		holder->pid = data_race(task_pid_nr(task));
		holder->tgid = task_tgid_nr(task);
		get_task_comm(holder->comm, task);
	}
	rcu_read_unlock();
}

/**
 * set_tid_refused - report that a set_tid request is refused, and why
 * @ns: the namespace of the level that refuses it
 * @nr: the PID that was requested there, 0 if it was to be an automatic one
 * @reason: the rule that refuses it
 * @error: what the caller gets, a negative errno
 *
 * Costs nothing worth counting while the trace event set_tid_refused is off.
 *
 * Context: Any, on behalf of the task that made the request. The caller holds a
 *	    reference to @ns or to a namespace inside it, and neither pidmap_lock
 *	    nor, for %SET_TID_IN_USE, any other spinlock.
 * Return: @error.
 */
int set_tid_refused(struct pid_namespace *ns, pid_t nr,
		    enum set_tid_reason reason, int error)
{
	struct set_tid_holder holder = {};

	if (!trace_set_tid_refused_enabled())
		return error;

	if (reason == SET_TID_IN_USE)
		find_holder(ns, nr, &holder);
	trace_set_tid_refused(ns, nr, reason, error, &holder);
	return error;
}
